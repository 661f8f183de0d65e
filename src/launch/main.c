/* kparrun: the launcher, and on each rank its keeper. */
#include "base/log.h"
#include "launch/options.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

static kpar_status find_self(char *path, size_t bytes)
{
    ssize_t length = readlink("/proc/self/exe", path, bytes - 1);
    if (length < 0)
        return kpar_fail(KPAR_EIO, "/proc/self/exe cannot be read; kparrun must know where it is");
    path[length] = '\0';
    return KPAR_OK;
}

static kpar_status prepare(const kpar_launch_options *options, kpar_launch_hosts *hosts,
                           kpar_launch_arguments *arguments)
{
    char self[4096];
    kpar_launch_machine machine;
    if (options->hosts) KPAR_TRY(kpar_launch_hosts_parse(options->hosts, hosts));
    if (options->hostfile) KPAR_TRY(kpar_launch_hosts_read(options->hostfile, hosts));
    if (!options->oversubscribe) KPAR_TRY(kpar_launch_hosts_suffice(hosts, options->ranks));
    KPAR_TRY(find_self(self, sizeof self));
    KPAR_TRY(kpar_launch_machine_find(options->mpirun, &machine));
    kpar_launch_arguments_make(options, hosts, &machine, self, arguments);
    return KPAR_OK;
}

static int run(const kpar_launch_options *options)
{
    kpar_launch_hosts hosts = {0};
    kpar_launch_arguments arguments = {0};
    int code = 0;
    kpar_status status = prepare(options, &hosts, &arguments);
    if (status != KPAR_OK) {
        kpar_log_error(kpar_error_message());
        code = status == KPAR_EUSAGE ? 2 : 1;
    } else if (options->dry_run) {
        kpar_text text = {0};
        kpar_launch_arguments_text(&arguments, &text);
        puts(kpar_text_get(&text));
        kpar_text_clear(&text);
    } else {
        if (arguments.note.length) kpar_log("%s", kpar_text_get(&arguments.note));
        code = kpar_launch_job(options, &arguments);
    }
    kpar_launch_hosts_clear(&hosts);
    kpar_launch_arguments_clear(&arguments);
    return code;
}

static int print(const kpar_launch_options *options)
{
    kpar_text text = {0};
    if (options->help)
        kpar_options_help(&text, &kpar_launch_option_table, 100);
    else if (options->help_man)
        kpar_options_man(&text, &kpar_launch_option_table, PACKAGE_VERSION);
    else if (options->help_markdown)
        kpar_options_markdown(&text, &kpar_launch_option_table);
    else
        kpar_text_printf(&text, "kparrun %s\n", PACKAGE_VERSION);
    fputs(kpar_text_get(&text), stdout);
    kpar_text_clear(&text);
    return 0;
}

static bool only_prints(const kpar_launch_options *options)
{
    return options->help || options->help_man || options->help_markdown || options->version;
}

int main(int argc, char **argv)
{
    kpar_launch_options options;
    kpar_log_program("kparrun");
    if (argc > 3 && !strcmp(argv[1], "--rank")) return kpar_launch_rank(argv[2], argv + 3);
    kpar_arena *arena = kpar_arena_create();
    int code = 2;
    if (kpar_launch_options_read(argc, argv, arena, &options) != KPAR_OK)
        kpar_log_error(kpar_error_message());
    else
        code = only_prints(&options) ? print(&options) : run(&options);
    kpar_arena_destroy(arena);
    return code;
}
