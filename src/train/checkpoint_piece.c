/* A piece of a variable as JSON and back. */
#include "train/checkpoint_internal.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

bool kpar_piece_bytes(const kpar_slice *slice, kpar_dtype dtype, uint64_t *bytes)
{
    size_t product = kpar_dtype_bytes(dtype);
    for (int d = 0; d < slice->rank; d++)
        if (!kpar_multiply(product, (size_t)slice->size[d], &product)) return false;
    *bytes = product;
    return product <= INT64_MAX;
}

static json_t *numbers_to_json(int n, const int64_t *numbers)
{
    json_t *array = json_array();
    for (int i = 0; i < n; i++) json_array_append_new(array, json_integer(numbers[i]));
    return array;
}

json_t *kpar_piece_to_json(const kpar_piece *piece, const char *file)
{
    char checksum[17];
    snprintf(checksum, sizeof checksum, "%016" PRIx64, piece->checksum);
    return json_pack("{ss ss so so so ss sI sI ss}", "path", piece->path, "dtype",
                     kpar_dtype_name(piece->dtype), "dims", numbers_to_json(piece->rank, piece->dims),
                     "start", numbers_to_json(piece->slice.rank, piece->slice.start), "size",
                     numbers_to_json(piece->slice.rank, piece->slice.size), "file", file, "offset",
                     (json_int_t)piece->offset, "bytes", (json_int_t)piece->bytes, "xxh3", checksum);
}

/* Reads an array of at most KPAR_MAX_RANK numbers that are not negative; its length, or -1. */
static int numbers_from_json(const json_t *array, int64_t numbers[KPAR_MAX_RANK])
{
    size_t n = json_array_size(array);
    if (!json_is_array(array) || n > KPAR_MAX_RANK) return -1;
    for (size_t i = 0; i < n; i++) {
        const json_t *number = json_array_get(array, i);
        numbers[i] = json_integer_value(number);
        if (!json_is_integer(number) || numbers[i] < 0) return -1;
    }
    return (int)n;
}

/* The slice lies within the variable, and the bytes are those of the slice. */
static bool consistent(const kpar_piece *piece, json_int_t offset, json_int_t bytes)
{
    uint64_t expected = 0;
    for (int d = 0; d < piece->rank; d++)
        if (piece->slice.size[d] > piece->dims[d] ||
            piece->slice.start[d] > piece->dims[d] - piece->slice.size[d])
            return false;
    if (offset < 0 || bytes < 0 || offset > INT64_MAX - bytes) return false;
    return kpar_piece_bytes(&piece->slice, piece->dtype, &expected) && expected == (uint64_t)bytes;
}

static bool parse_checksum(const char *text, uint64_t *checksum)
{
    if (strlen(text) != 16 || strspn(text, "0123456789abcdef") != 16) return false;
    *checksum = strtoull(text, NULL, 16);
    return true;
}

/* Index of the file of that name, which must be one of ours. */
static bool find_file(kpar_checkpoint *checkpoint, const char *name, size_t *file)
{
    if (strncmp(name, "rank-", 5) != 0 || strchr(name, '/')) return false;
    size_t i = checkpoint->n_files;
    while (i-- > 0)
        if (!strcmp(checkpoint->files[i].name, name)) break;
    if (i == SIZE_MAX) {
        i = checkpoint->n_files;
        KPAR_PUSH(checkpoint->files, checkpoint->n_files, checkpoint->files_capacity) =
            (kpar_piece_file){.name = kpar_arena_strdup(checkpoint->arena, name), .descriptor = -1};
    }
    *file = i;
    return true;
}

kpar_status kpar_piece_from_json(kpar_checkpoint *checkpoint, const json_t *json, kpar_piece *piece)
{
    const char *path = NULL, *dtype = NULL, *file = NULL, *checksum = NULL;
    json_t *dims = NULL, *start = NULL, *size = NULL;
    json_int_t offset = 0, bytes = 0;
    *piece = (kpar_piece){0};
    bool good = !json_unpack((json_t *)(uintptr_t)json, "{ss ss so so so ss sI sI ss}", "path", &path,
                             "dtype", &dtype, "dims", &dims, "start", &start, "size", &size, "file", &file,
                             "offset", &offset, "bytes", &bytes, "xxh3", &checksum);
    if (good) {
        piece->rank = piece->slice.rank = numbers_from_json(dims, piece->dims);
        good = piece->rank >= 0 && numbers_from_json(start, piece->slice.start) == piece->rank &&
               numbers_from_json(size, piece->slice.size) == piece->rank &&
               kpar_dtype_parse(dtype, &piece->dtype) && parse_checksum(checksum, &piece->checksum) &&
               consistent(piece, offset, bytes) && find_file(checkpoint, file, &piece->file);
    }
    if (!good)
        return kpar_fail(KPAR_EFORMAT, "a piece of %s is described wrongly", path ? path : "a variable");
    piece->path = kpar_arena_strdup(checkpoint->arena, path);
    piece->offset = (uint64_t)offset;
    piece->bytes = (uint64_t)bytes;
    return KPAR_OK;
}
