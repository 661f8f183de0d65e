/* Tables of options: values, command lines, messages, help, man page, documentation. */
#include "base/options.h"
#include "unit.h"

#include <check.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

typedef enum color { RED, GREEN, BLUE } color;

typedef struct settings {
    int epochs;
    int64_t seed;
    double rate;
    bool shuffle, quiet;
    const char *output;
    kpar_strings metrics, hosts;
    color color;
} settings;

static const char *const colors[] = {"red", "green", "blue", NULL};

static const kpar_option rows[] = {
    {"epochs", KPAR_FIELD(settings, epochs), .short_names = "e", .placeholder = "N", .preset = "3",
     .least = 1, .most = INFINITY, .group = "Training", .doc = "Passes over the training data"},
    {"seed", KPAR_FIELD(settings, seed), .placeholder = "N", .preset = "0", .preset_doc = "",
     .doc = "Of all that is random"},
    {"rate", KPAR_FIELD(settings, rate), .placeholder = "R", .preset = "0.5", .least = 0, .most = 1,
     .doc =
         "Share of the rows that are kept for the validation that follows each of the passes over the data"},
    {"shuffle", KPAR_FIELD(settings, shuffle), .preset = "true", .negatable = true,
     .doc = "Change the order each epoch"},
    {"quiet", KPAR_FIELD(settings, quiet), .short_names = "q", .group = "Output", .doc = "Say nothing"},
    {"output", KPAR_FIELD(settings, output), .placeholder = "FILE.keras", .preset_doc = "nothing is written",
     .doc = "Where the trained model goes"},
    {"metrics", KPAR_FIELD(settings, metrics), .placeholder = "NAME,...", .preset = "loss,accuracy",
     .doc = "What to log"},
    {"hosts", KPAR_FIELD(settings, hosts), .short_names = "H at", .placeholder = "HOST,...",
     .doc = "Where to run", .sought_as = "nodes node-list"},
    {"color", KPAR_FIELD(settings, color), .choices = colors, .preset = "green", .doc = "Of the bar"},
};

static const kpar_exit_code exit_codes[] = {{0, "Done"}, {2, "Wrong usage"}};

static const kpar_section sections[] = {{"EXAMPLES", ".dotted first - and \\ in it\n\nNext paragraph."}};

static const kpar_options options = {
    .program = "kpar_paint",
    .synopsis = "MODEL [OPTION]...",
    .summary = "paint a model",
    .description = "Paints MODEL.\n\nSlowly, on many\nmachines.",
    .rows = rows,
    .n_rows = sizeof rows / sizeof *rows,
    .exit_codes = exit_codes,
    .n_exit_codes = 2,
    .sections = sections,
    .n_sections = 1,
};

static kpar_arena *arena;
static settings values;
static bool given[sizeof rows / sizeof *rows];
static kpar_strings operands;

static void set_up(void)
{
    arena = kpar_arena_create();
    memset(&values, 0xFF, sizeof values);
    memset(given, 0, sizeof given);
    ck_assert_int_eq(kpar_options_preset(&options, arena, &values), KPAR_OK);
}

static void tear_down(void) { kpar_arena_destroy(arena); }

/* Parses the words of `line` after the program's name. */
static kpar_status parse_with(const kpar_options *table, const char *line)
{
    enum { MOST = 16 };
    char *argv[MOST] = {kpar_arena_strdup(arena, "kpar_paint")};
    int argc = 1;
    for (char *word = strtok(kpar_arena_strdup(arena, line), " "); word; word = strtok(NULL, " "))
        argv[argc++] = word;
    return kpar_options_parse(table, arena, argc, argv, &values, given, &operands);
}

static void parse(const char *line)
{
    ck_assert_msg(parse_with(&options, line) == KPAR_OK, "%s: %s", line, kpar_error_message());
}

START_TEST(defaults_are_what_the_table_says)
{
    parse("");
    ck_assert_int_eq(values.epochs, 3);
    ck_assert_int_eq(values.seed, 0);
    ck_assert_double_eq(values.rate, 0.5);
    ck_assert(values.shuffle);
    ck_assert(!values.quiet);
    ck_assert_ptr_null(values.output);
    ck_assert_uint_eq(values.metrics.count, 2);
    ck_assert_str_eq(values.metrics.items[1], "accuracy");
    ck_assert_uint_eq(values.hosts.count, 0);
    ck_assert_int_eq(values.color, GREEN);
    ck_assert_uint_eq(operands.count, 0);
    for (size_t i = 0; i < options.n_rows; i++) ck_assert(!given[i]);
}
END_TEST

START_TEST(values_are_read_in_every_spelling)
{
    parse("a.keras --epochs 7 --seed=-9000000000 --rate=0.25 --no-shuffle --quiet --output b.keras --color "
          "blue c");
    ck_assert_int_eq(values.epochs, 7);
    ck_assert_int_eq(values.seed, INT64_C(-9000000000));
    ck_assert_double_eq(values.rate, 0.25);
    ck_assert(!values.shuffle);
    ck_assert(values.quiet);
    ck_assert_str_eq(values.output, "b.keras");
    ck_assert_int_eq(values.color, BLUE);
    ck_assert_uint_eq(operands.count, 2);
    ck_assert_str_eq(operands.items[0], "a.keras");
    ck_assert_str_eq(operands.items[1], "c");
    ck_assert(given[0] && given[3] && !given[6]);
}
END_TEST

START_TEST(short_names_are_whole_words)
{
    parse("-e 2 -q -H one -at two");
    ck_assert_int_eq(values.epochs, 2);
    ck_assert(values.quiet);
    ck_assert_uint_eq(values.hosts.count, 2);
}
END_TEST

START_TEST(the_last_value_counts)
{
    parse("--epochs 4 --epochs 5 --no-shuffle --shuffle");
    ck_assert_int_eq(values.epochs, 5);
    ck_assert(values.shuffle);
}
END_TEST

START_TEST(lists_are_given_repeatedly_or_with_commas_and_replace_the_default)
{
    parse("--metrics a,b --metrics c,d,e,f,g,h,i,j");
    ck_assert_uint_eq(values.metrics.count, 10);
    for (size_t i = 0; i < 10; i++) ck_assert_int_eq(values.metrics.items[i][0], (int)('a' + i));
}
END_TEST

START_TEST(values_may_be_empty_negative_or_begin_with_dashes)
{
    parse("--output= --seed -5");
    ck_assert_str_eq(values.output, "");
    ck_assert_int_eq(values.seed, -5);
    parse("--output=--quiet");
    ck_assert_str_eq(values.output, "--quiet");
    parse("--output --strange");
    ck_assert_str_eq(values.output, "--strange");
}
END_TEST

START_TEST(two_dashes_end_the_options_and_one_is_an_operand)
{
    parse("- --quiet -- --epochs -x");
    ck_assert_uint_eq(operands.count, 3);
    ck_assert_str_eq(operands.items[0], "-");
    ck_assert_str_eq(operands.items[1], "--epochs");
    ck_assert_str_eq(operands.items[2], "-x");
}
END_TEST

START_TEST(what_follows_a_command_is_left_to_it)
{
    kpar_options launcher = options;
    launcher.stop_at_operand = true;
    ck_assert_int_eq(parse_with(&launcher, "-e 2 command --unknown -e 9"), KPAR_OK);
    ck_assert_int_eq(values.epochs, 2);
    ck_assert_uint_eq(operands.count, 4);
    ck_assert_str_eq(operands.items[3], "9");
}
END_TEST

START_TEST(wrong_usage_says_what_was_expected_and_found)
{
    static const struct {
        const char *line, *message;
    } cases[] = {
        {"--epoch 3", "unknown option '--epoch'; did you mean '--epochs'?"},
        {"--ouptut x", "unknown option '--ouptut'; did you mean '--output'?"},
        {"--shufle=1", "unknown option '--shufle'; did you mean '--shuffle'?"},
        {"--nodes a", "unknown option '--nodes'; did you mean '--hosts'? (Where to run)"},
        {"-nodes a", "unknown option '-nodes'; did you mean '--hosts'? (Where to run)"},
        {"--node_list=a", "unknown option '--node_list'; did you mean '--hosts'? (Where to run)"},
        {"--out_put x", "unknown option '--out_put'; did you mean '--output'?"},
        {"--entirely-different",
         "unknown option '--entirely-different'; kpar_paint --help lists the options"},
        {"-x", "unknown option '-x'; kpar_paint --help lists the options"},
        {"--epochs many", "--epochs: expected an integer, found 'many'"},
        {"--epochs 1.5", "--epochs: expected an integer, found '1.5'"},
        {"--epochs 0", "--epochs: expected at least 1, found '0'"},
        {"--epochs 3000000000", "--epochs: expected an integer of 32 bits, found '3000000000'"},
        {"--seed 9223372036854775808", "--seed: expected an integer, found '9223372036854775808'"},
        {"--rate 1.01", "--rate: expected 0 to 1, found '1.01'"},
        {"--rate nan", "--rate: expected 0 to 1, found 'nan'"},
        {"--rate 0,5", "--rate: expected a number, found '0,5'"},
        {"--quiet=yes", "--quiet takes no value, found 'yes'"},
        {"--no-quiet", "--quiet cannot be negated"},
        {"--no-shufle", "unknown option '--no-shufle'; did you mean '--shuffle'?"},
        {"--color pink", "--color: expected one of red, green, blue, found 'pink'"},
        {"--metrics a,,b", "--metrics: expected words separated by single commas, found 'a,,b'"},
        {"--metrics=", "--metrics: expected words separated by single commas, found ''"},
        {"--output", "--output needs a value: --output FILE.keras"},
        {"--output --quiet", "--output needs a value: --output FILE.keras"},
        {"-e", "--epochs needs a value: -e, --epochs N"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        ck_assert_msg(parse_with(&options, cases[i].line) == KPAR_EUSAGE, "'%s' is accepted", cases[i].line);
        ck_assert_str_eq(kpar_error_message(), cases[i].message);
    }
}
END_TEST

START_TEST(a_file_of_settings_sets_options_by_name)
{
    char text[] = "from_file.keras";
    ck_assert_int_eq(kpar_options_set(&options, arena, "output", text, &values, given), KPAR_OK);
    memset(text, 'x', sizeof text - 1);
    ck_assert_str_eq(values.output, "from_file.keras");
    ck_assert_int_eq(kpar_options_set(&options, arena, "shuffle", "false", &values, NULL), KPAR_OK);
    ck_assert(!values.shuffle);
    ck_assert(given[5] && !given[3]);
    ck_assert_int_eq(kpar_options_set(&options, arena, "shuffle", "maybe", &values, given), KPAR_EUSAGE);
    ck_assert_str_eq(kpar_error_message(), "--shuffle: expected true or false, found 'maybe'");
    ck_assert_int_eq(kpar_options_set(&options, arena, "epoch", "1", &values, given), KPAR_EUSAGE);
}
END_TEST

START_TEST(a_default_that_is_no_value_is_an_internal_error)
{
    const kpar_option wrong = {"epochs", KPAR_FIELD(settings, epochs), .preset = "few", .doc = "Wrong"};
    kpar_options table = {.program = "x", .rows = &wrong, .n_rows = 1};
    ck_assert_int_eq(kpar_options_preset(&table, arena, &values), KPAR_EINTERNAL);
    ck_assert_ptr_nonnull(strstr(kpar_error_message(), "--epochs: expected an integer, found 'few'"));
}
END_TEST

START_TEST(help_is_grouped_aligned_and_wrapped)
{
    static const char expected[] =
        "Usage: kpar_paint MODEL [OPTION]...\n"
        "\n"
        "Paints MODEL.\n"
        "\n"
        "Slowly, on many machines.\n"
        "\n"
        "Training:\n"
        "  -e, --epochs N              Passes over the training data (default: 3)\n"
        "  --seed N                    Of all that is random\n"
        "  --rate R                    Share of the rows that are kept for the validation\n"
        "                              that follows each of the passes over the data\n"
        "                              (default: 0.5)\n"
        "  --[no-]shuffle              Change the order each epoch (default: on)\n"
        "\n"
        "Output:\n"
        "  -q, --quiet                 Say nothing\n"
        "  --output FILE.keras         Where the trained model goes (default: nothing is\n"
        "                              written)\n"
        "  --metrics NAME,...          What to log (default: loss,accuracy)\n"
        "  -H, -at, --hosts HOST,...   Where to run\n"
        "  --color red|green|blue      Of the bar (default: green)\n"
        "\n"
        "Exit codes:\n"
        "  0   Done\n"
        "  2   Wrong usage\n";
    kpar_text text = {0};
    kpar_options_help(&text, &options, 10);
    ck_assert_str_eq(kpar_text_get(&text), expected);
    kpar_text_clear(&text);
}
END_TEST

static size_t longest_line(const char *text)
{
    size_t longest = 0;
    for (size_t length; *text; text += length + (text[length] == '\n')) {
        length = strcspn(text, "\n");
        if (length > longest) longest = length;
    }
    return longest;
}

START_TEST(help_follows_the_width_of_the_terminal_up_to_100)
{
    for (int columns = 80; columns <= 120; columns += 5) {
        kpar_text text = {0};
        kpar_options_help(&text, &options, columns);
        ck_assert_uint_le(longest_line(kpar_text_get(&text)), (size_t)(columns < 100 ? columns : 100));
        kpar_text_clear(&text);
    }
}
END_TEST

START_TEST(a_long_spelling_gets_a_line_of_its_own)
{
    const kpar_option row = {"a-name-of-considerable-length", KPAR_FIELD(settings, output),
                             .placeholder = "FILE", .doc = "Words"};
    kpar_options table = {.program = "x", .synopsis = "", .description = "D", .rows = &row, .n_rows = 1};
    kpar_text text = {0};
    kpar_options_help(&text, &table, 80);
    ck_assert_ptr_nonnull(strstr(kpar_text_get(&text), "\nOptions:\n  --a-name-of-considerable-length FILE\n"
                                                       "                              Words\n"));
    kpar_text_clear(&text);
}
END_TEST

START_TEST(the_man_page_has_every_part_and_escapes_what_roff_reads)
{
    static const char *const parts[] = {
        ".TH \"KPAR_PAINT\" 1 \"\" \"kpar 1.2.3\" \"User Commands\"\n.SH NAME\nkpar_paint \\- paint a "
        "model\n",
        ".SH SYNOPSIS\n\\fBkpar_paint\\fR MODEL [OPTION]...\n",
        ".SH DESCRIPTION\nPaints MODEL.\n.PP\nSlowly, on many\nmachines.\n",
        ".SH OPTIONS\n.SS \"Training\"\n.TP\n\\fB\\-e, \\-\\-epochs N\\fR\nPasses over the training data "
        "(default: 3).\n",
        "\\fB\\-\\-[no\\-]shuffle\\fR\n",
        ".SH \"EXIT STATUS\"\n.TP\n\\fB0\\fR\nDone\n",
        ".SH \"EXAMPLES\"\n\\&.dotted first \\- and \\e in it\n.PP\nNext paragraph.\n",
    };
    kpar_text text = {0};
    kpar_options_man(&text, &options, "1.2.3");
    for (size_t i = 0; i < sizeof parts / sizeof *parts; i++)
        ck_assert_msg(strstr(kpar_text_get(&text), parts[i]), "not in the page: %s\n%s", parts[i],
                      kpar_text_get(&text));
    kpar_text_clear(&text);
}
END_TEST

START_TEST(the_documentation_has_a_table_for_each_group)
{
    static const char *const parts[] = {
        ("### Training\n\n| option | default | meaning |\n| --- | --- | --- |\n"
         "| `-e, --epochs N` | 3 | Passes over the training data |\n| `--seed N` | | Of all that is random "
         "|\n"),
        "\n\n### Output\n\n",
        "| `--color red\\|green\\|blue` | green | Of the bar |\n",
    };
    kpar_text text = {0};
    kpar_options_markdown(&text, &options);
    for (size_t i = 0; i < sizeof parts / sizeof *parts; i++)
        ck_assert_msg(strstr(kpar_text_get(&text), parts[i]), "not in the tables: %s\n%s", parts[i],
                      kpar_text_get(&text));
    kpar_text_clear(&text);
}
END_TEST

START_TEST(every_option_is_in_every_text)
{
    kpar_text texts[3] = {{0}};
    kpar_options_help(&texts[0], &options, 80);
    kpar_options_man(&texts[1], &options, "1");
    kpar_options_markdown(&texts[2], &options);
    for (size_t t = 0; t < 3; t++) {
        for (size_t i = 0; i < options.n_rows; i++) {
            ck_assert_ptr_nonnull(strstr(kpar_text_get(&texts[t]), rows[i].name));
            if (rows[i].group) ck_assert_ptr_nonnull(strstr(kpar_text_get(&texts[t]), rows[i].group));
        }
        kpar_text_clear(&texts[t]);
    }
}
END_TEST

int main(void)
{
    const TTest *const tests[] = {
        defaults_are_what_the_table_says,
        values_are_read_in_every_spelling,
        short_names_are_whole_words,
        the_last_value_counts,
        lists_are_given_repeatedly_or_with_commas_and_replace_the_default,
        values_may_be_empty_negative_or_begin_with_dashes,
        two_dashes_end_the_options_and_one_is_an_operand,
        what_follows_a_command_is_left_to_it,
        wrong_usage_says_what_was_expected_and_found,
        a_file_of_settings_sets_options_by_name,
        a_default_that_is_no_value_is_an_internal_error,
        help_is_grouped_aligned_and_wrapped,
        help_follows_the_width_of_the_terminal_up_to_100,
        a_long_spelling_gets_a_line_of_its_own,
        the_man_page_has_every_part_and_escapes_what_roff_reads,
        the_documentation_has_a_table_for_each_group,
        every_option_is_in_every_text,
    };
    Suite *suite = suite_create("options");
    TCase *all = tcase_create("options");
    tcase_set_timeout(all, 0); /* none: a loaded machine is no failure */
    tcase_add_checked_fixture(all, set_up, tear_down);
    for (size_t i = 0; i < sizeof tests / sizeof *tests; i++) tcase_add_test(all, tests[i]);
    suite_add_tcase(suite, all);
    return run_suite(suite);
}
