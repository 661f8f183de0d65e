/* Sums of products of tensors whose dimensions letters name: products of matrices, two tensors after two. */
#include "model/einsum.h"

#include <string.h>

/* --- text --- */

/* Letters of a part up to `end`, with `elided` numbers in the place of "..."; false: it is none. */
static bool read_part(const char *part, const char *end, int elided, char *letters)
{
    int n = 0;
    for (; part < end; part++) {
        const bool dots = end - part >= 3 && strncmp(part, "...", 3) == 0;
        for (int k = elided; dots && k > 0 && n < KPAR_MAX_RANK; k--) letters[n++] = (char)k;
        if (dots) {
            part += 2;
            continue;
        }
        if (*part == ' ') continue;
        const bool letter = (*part >= 'a' && *part <= 'z') || (*part >= 'A' && *part <= 'Z');
        if (!letter || n == KPAR_MAX_RANK || memchr(letters, *part, (size_t)n)) return false;
        letters[n++] = *part;
    }
    letters[n] = '\0';
    return true;
}

/* Dimensions that "..." stands for in a part of an operand of this rank; -1: the part has more letters. */
static int count_elided(const char *part, const char *end, int rank)
{
    int letters = 0, dots = 0;
    for (; part < end; part++) {
        letters += *part != ' ' && *part != '.';
        dots += *part == '.';
    }
    if (dots == 0) return rank == 0 || letters == rank ? 0 : -1;
    return dots == 3 && rank >= letters ? rank - letters : -1;
}

/* Letters of the result that no operand has. */
static bool all_known(const kpar_einsum *e)
{
    for (const char *c = e->result; *c; c++) {
        bool known = false;
        for (int i = 0; i < e->n_operands; i++) known = known || strchr(e->operands[i], *c);
        if (!known) return false;
    }
    return true;
}

bool kpar_einsum_read(const char *text, const int *ranks, int n_operands, kpar_einsum *e)
{
    const char *arrow = strstr(text, "->"), *at = text;
    *e = (kpar_einsum){.n_operands = n_operands};
    if (!arrow || n_operands > KPAR_EINSUM_OPERANDS) return false;
    for (int i = 0; i < n_operands; i++) {
        const char *comma = memchr(at, ',', (size_t)(arrow - at)), *end = comma ? comma : arrow;
        const int elided = count_elided(at, end, ranks[i]);
        if (!comma != (i == n_operands - 1) || elided < 0 || !read_part(at, end, elided, e->operands[i]))
            return false;
        if (elided > e->elided) e->elided = elided;
        at = end + 1;
    }
    return read_part(arrow + 2, arrow + strlen(arrow), e->elided, e->result) && all_known(e);
}

/* --- products --- */

/* Letters of `from` for which being in `first` and `second` is as asked, appended to `to`. */
static void choose(const char *from, const char *first, bool in_first, const char *second, bool in_second,
                   char *to)
{
    size_t n = strlen(to);
    for (; *from; from++)
        if ((strchr(first, *from) != NULL) == in_first && (strchr(second, *from) != NULL) == in_second)
            to[n++] = *from;
    to[n] = '\0';
}

/* An operand on its way into a product: its dimensions are those shared by all, one that stays, one that is summed. */
typedef struct factor {
    kpar_value_id value;
    char letters[KPAR_EINSUM_LETTERS];
    char kept[KPAR_EINSUM_LETTERS];
} factor;

static kpar_dim size_of(const kpar_lowering *lowering, const factor *f, char letter)
{
    return kpar_lower_shape(lowering, f->value)->dims[strchr(f->letters, letter) - f->letters];
}

/* Sums over the letters that neither the other operand nor the result has. */
static kpar_status sum_alone(kpar_lowering *lowering, const char *other, const char *result, factor *f)
{
    unsigned axes = 0;
    char left[KPAR_EINSUM_LETTERS] = "";
    for (int i = 0, n = 0; f->letters[i]; i++) {
        const bool used = strchr(other, f->letters[i]) || strchr(result, f->letters[i]);
        if (!used) axes |= 1u << i;
        if (used) left[n++] = f->letters[i];
    }
    strcpy(f->letters, left);
    return axes ? kpar_lower_reduce(lowering, KPAR_REDUCE_SUM, axes, false, f->value, &f->value) : KPAR_OK;
}

/* The dimensions in the order `letters`. */
static kpar_status arrange(kpar_lowering *lowering, const char *letters, factor *f)
{
    int order[KPAR_MAX_RANK];
    if (strcmp(f->letters, letters) == 0) return KPAR_OK;
    for (int i = 0; letters[i]; i++) order[i] = (int)(strchr(f->letters, letters[i]) - f->letters);
    strcpy(f->letters, letters);
    return kpar_build_transpose(lowering->graph, order, f->value, &f->value);
}

/* Dimensions of these letters as one, of size 1 where there are none. */
static kpar_dim folded(const kpar_lowering *lowering, const factor *f, const char *letters)
{
    kpar_dim product = {1, false};
    for (; *letters; letters++) {
        const kpar_dim d = size_of(lowering, f, *letters);
        product.size *= d.size;
        product.batch = product.batch || d.batch;
    }
    return product;
}

/* A matrix for each element of the shared dimensions: kept by summed, or the other way where that moves nothing. */
static kpar_status as_matrices(kpar_lowering *lowering, const char *shared, const char *summed,
                               bool summed_first, factor *f, bool *transposed)
{
    char straight[3 * KPAR_MAX_RANK + 1], turned[3 * KPAR_MAX_RANK + 1];
    const char *first = summed_first ? summed : f->kept, *second = summed_first ? f->kept : summed;
    kpar_shape shape = {.rank = 0};
    strcat(strcat(strcpy(straight, shared), first), second);
    strcat(strcat(strcpy(turned, shared), second), first);
    *transposed = strcmp(f->letters, straight) != 0 && strcmp(f->letters, turned) == 0;
    KPAR_TRY(arrange(lowering, *transposed ? turned : straight, f));
    for (const char *c = shared; *c; c++) shape.dims[shape.rank++] = size_of(lowering, f, *c);
    shape.dims[shape.rank++] = folded(lowering, f, *transposed ? second : first);
    shape.dims[shape.rank++] = folded(lowering, f, *transposed ? first : second);
    return kpar_build_reshape(lowering->graph, shape, f->value, &f->value);
}

/* Whether shared letters are of equal sizes, and rows of the batch meet only themselves. */
static kpar_status check_sizes(const kpar_lowering *lowering, const factor *a, const factor *b)
{
    int batches = 0;
    for (const char *c = a->letters; *c; c++) {
        const kpar_dim d = size_of(lowering, a, *c);
        batches += d.batch && !strchr(b->letters, *c);
        if (!strchr(b->letters, *c)) continue;
        const kpar_dim other = size_of(lowering, b, *c);
        if (d.size != other.size || d.batch != other.batch)
            return kpar_fail(KPAR_EFORMAT, "%s: dimensions of %lld and %lld%s are to be multiplied",
                             lowering->owner, (long long)d.size, (long long)other.size,
                             d.batch != other.batch ? " (the batch)" : "");
    }
    for (const char *c = b->letters; *c; c++)
        batches += size_of(lowering, b, *c).batch && !strchr(a->letters, *c);
    if (batches < 2) return KPAR_OK;
    return kpar_fail(KPAR_EUNSUPPORTED, "%s: multiplies every row of the batch with every other",
                     lowering->owner);
}

kpar_status kpar_lower_product(kpar_lowering *lowering, const char *a_letters, kpar_value_id a,
                               const char *b_letters, kpar_value_id b, const char *letters,
                               kpar_value_id *out)
{
    factor x = {.value = a}, y = {.value = b}, made = {.value = -1};
    char shared[KPAR_EINSUM_LETTERS] = "", summed[KPAR_EINSUM_LETTERS] = "", all[3 * KPAR_MAX_RANK + 1] = "";
    bool turned[2];
    kpar_shape shape = {.rank = 0};
    strcpy(x.letters, a_letters);
    strcpy(y.letters, b_letters);
    KPAR_TRY(check_sizes(lowering, &x, &y));
    KPAR_TRY(sum_alone(lowering, y.letters, letters, &x));
    KPAR_TRY(sum_alone(lowering, x.letters, letters, &y));
    choose(x.letters, y.letters, true, letters, true, shared);
    choose(x.letters, y.letters, true, letters, false, summed);
    choose(x.letters, y.letters, false, letters, true, x.kept);
    choose(y.letters, x.letters, false, letters, true, y.kept);
    strcat(strcat(strcat(all, shared), x.kept), y.kept);
    for (const char *c = all; *c; c++)
        shape.dims[shape.rank++] = size_of(lowering, strchr(x.letters, *c) ? &x : &y, *c);
    KPAR_TRY(as_matrices(lowering, shared, summed, false, &x, &turned[0]));
    KPAR_TRY(as_matrices(lowering, shared, summed, true, &y, &turned[1]));
    KPAR_TRY(kpar_build_matmul(lowering->graph, x.value, turned[0], y.value, turned[1], &made.value));
    KPAR_TRY(kpar_build_reshape(lowering->graph, shape, made.value, &made.value));
    strcpy(made.letters, all);
    KPAR_TRY(arrange(lowering, letters, &made));
    *out = made.value;
    return KPAR_OK;
}

/* --- of any number --- */

/* Letters of the product of the first operands and number `next`: those that the result or a later operand has. */
static void letters_so_far(const kpar_einsum *e, const char *before, int next, char *letters)
{
    const char *both[] = {before, e->operands[next]};
    size_t n = 0;
    for (int k = 0; k < 2; k++)
        for (const char *c = both[k]; *c; c++) {
            bool needed = strchr(e->result, *c) != NULL;
            for (int i = next + 1; i < e->n_operands; i++) needed = needed || strchr(e->operands[i], *c);
            if (needed && !memchr(letters, *c, n)) letters[n++] = *c;
        }
    letters[n] = '\0';
}

kpar_status kpar_lower_einsum(kpar_lowering *lowering, const kpar_einsum *e, const kpar_value_id *operands,
                              kpar_value_id *out)
{
    factor f = {.value = operands[0]};
    strcpy(f.letters, e->operands[0]);
    for (int i = 1; i < e->n_operands; i++) {
        char letters[2 * KPAR_EINSUM_LETTERS];
        letters_so_far(e, f.letters, i, letters);
        if (i == e->n_operands - 1) strcpy(letters, e->result);
        if (strlen(letters) > KPAR_MAX_RANK)
            return kpar_fail(KPAR_EUNSUPPORTED, "%s: more than %d dimensions", lowering->owner,
                             KPAR_MAX_RANK);
        KPAR_TRY(
            kpar_lower_product(lowering, f.letters, f.value, e->operands[i], operands[i], letters, &f.value));
        strcpy(f.letters, letters);
    }
    KPAR_TRY(sum_alone(lowering, "", e->result, &f));
    KPAR_TRY(arrange(lowering, e->result, &f));
    *out = f.value;
    return KPAR_OK;
}

kpar_status kpar_lower_along(kpar_lowering *lowering, int dim, const double *matrix, int64_t n,
                             kpar_value_id x, kpar_value_id *out)
{
    kpar_graph *g = lowering->graph;
    const int last = kpar_lower_shape(lowering, x)->rank - 1;
    const int64_t dims[] = {n, kpar_lower_shape(lowering, x)->dims[dim].size};
    KPAR_TRY(kpar_lower_move(lowering, dim, last, x, out));
    kpar_shape moved = *kpar_lower_shape(lowering, *out);
    const kpar_shape flat = {.rank = 2,
                             .dims = {{kpar_lower_elements(&moved, 0) / dims[1], true}, moved.dims[last]}};
    KPAR_TRY(kpar_build_reshape(g, flat, *out, out));
    KPAR_TRY(kpar_build_matmul(g, *out, false, kpar_lower_numbers(lowering, 2, dims, matrix), true, out));
    moved.dims[last].size = n;
    KPAR_TRY(kpar_build_reshape(g, moved, *out, out));
    return kpar_lower_move(lowering, last, dim, *out, out);
}
