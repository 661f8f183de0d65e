/* Writing a checkpoint: each rank its pieces, then one manifest for all. */
#include "train/checkpoint_internal.h"

#include "data/output.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <xxhash.h>

struct kpar_checkpoint_writer {
    kpar_new_file *output;
    char file[32];
    uint64_t offset;
    json_t *pieces;
};

kpar_status kpar_checkpoint_writer_open(const char *dir, int64_t step, int rank,
                                        kpar_checkpoint_writer **writer)
{
    kpar_checkpoint_writer *opened = kpar_alloc_zeroed(1, sizeof *opened);
    snprintf(opened->file, sizeof opened->file, "rank-%05d.bin", rank);
    kpar_text path = {0};
    kpar_step_folder_path(dir, step, "/", &path);
    kpar_text_printf(&path, "%s", opened->file);
    kpar_status status = kpar_new_file_create(kpar_text_get(&path), &opened->output);
    kpar_text_clear(&path);
    opened->pieces = json_array();
    *writer = status == KPAR_OK ? opened : NULL;
    if (status != KPAR_OK) kpar_checkpoint_writer_abandon(opened);
    return status;
}

kpar_status kpar_checkpoint_write_piece(kpar_checkpoint_writer *writer, const char *path, kpar_dtype dtype,
                                        int rank, const int64_t *dims, const kpar_slice *slice,
                                        const void *values)
{
    kpar_piece piece = {
        .path = path, .dtype = dtype, .rank = rank, .slice = *slice, .offset = writer->offset};
    for (int d = 0; d < rank; d++) piece.dims[d] = dims[d];
    if (slice->rank != rank || !kpar_piece_bytes(slice, dtype, &piece.bytes))
        return kpar_fail(KPAR_EINTERNAL, "%s: slice of %d dimensions does not fit a variable of %d", path,
                         slice->rank, rank);
    piece.checksum = XXH3_64bits(values, piece.bytes);
    KPAR_TRY(kpar_new_file_write(writer->output, values, piece.bytes));
    writer->offset += piece.bytes;
    if (!json_array_append_new(writer->pieces, kpar_piece_to_json(&piece, writer->file))) return KPAR_OK;
    return kpar_fail(KPAR_EINTERNAL, "%s: a variable's path is no UTF-8", writer->file);
}

kpar_status kpar_checkpoint_writer_close(kpar_checkpoint_writer *writer, kpar_text *pieces)
{
    kpar_status status = kpar_new_file_commit(writer->output);
    writer->output = NULL;
    char *list = json_dumps(writer->pieces, JSON_COMPACT);
    if (status == KPAR_OK) kpar_text_printf(pieces, "%s", list);
    free(list);
    kpar_checkpoint_writer_abandon(writer);
    return status;
}

void kpar_checkpoint_writer_abandon(kpar_checkpoint_writer *writer)
{
    if (!writer) return;
    kpar_new_file_abandon(writer->output);
    json_decref(writer->pieces);
    kpar_free(writer);
}

/* Adds a rank's list, made by kpar_checkpoint_writer_close, to `all`. */
static kpar_status merge_list(const char *list, int rank, json_t *all)
{
    json_error_t error;
    json_t *pieces = json_loads(list, 0, &error);
    bool good = json_is_array(pieces) && !json_array_extend(all, pieces);
    json_decref(pieces);
    return good ? KPAR_OK : kpar_fail(KPAR_EINTERNAL, "the list of pieces of rank %d is damaged", rank);
}

/* Sums the elements of each variable's pieces, which are sorted by path: as many as it has. */
static kpar_status check_complete(const kpar_checkpoint *parsed)
{
    for (size_t i = 0, next; i < parsed->n_pieces; i = next) {
        const kpar_piece *first = &parsed->pieces[i];
        int64_t held = 0, whole = kpar_count(first->rank, first->dims);
        for (next = i; next < parsed->n_pieces && !strcmp(parsed->pieces[next].path, first->path); next++)
            held += kpar_count(first->rank, parsed->pieces[next].slice.size);
        if (held != whole)
            return kpar_fail(KPAR_EINTERNAL, "%s: its pieces have %lld elements, expected %lld", first->path,
                             (long long)held, (long long)whole);
    }
    return KPAR_OK;
}

/* Reads the pieces as a resume will, before the manifest makes them count. */
static kpar_status check_pieces(const json_t *pieces)
{
    kpar_checkpoint *parsed = kpar_checkpoint_allocate("");
    kpar_status status = kpar_manifest_read_pieces(parsed, pieces);
    if (status == KPAR_OK) status = check_complete(parsed);
    kpar_checkpoint_close(parsed);
    return status;
}

static kpar_status write_manifest(const char *folder, const kpar_checkpoint_facts *facts, json_t *pieces)
{
    json_t *manifest = kpar_manifest_make(facts, pieces);
    char *text = json_dumps(manifest, JSON_INDENT(1));
    json_decref(manifest);
    if (!text) return kpar_fail(KPAR_EINTERNAL, "%s: a text of the manifest is no UTF-8", folder);
    kpar_text path = {0};
    kpar_text_printf(&path, "%s/" KPAR_CHECKPOINT_MANIFEST, folder);
    kpar_status status = kpar_new_file_put(kpar_text_get(&path), text, strlen(text));
    kpar_text_clear(&path);
    free(text);
    return status;
}

/* Of those up to `step`: keeps the newest `keep` finished ones, removes the rest. */
static void remove_older(const char *dir, int64_t step, int keep)
{
    kpar_step_folders folders;
    int kept = 0;
    if (kpar_step_folders_list(dir, &folders) != KPAR_OK) return;
    for (size_t i = 0; i < folders.n; i++) {
        const kpar_step_folder *folder = &folders.items[i];
        if (folder->step > step) continue;
        bool stays = folder->finished && !(folder->old && folder->step == step) &&
                     (kept < keep || folder->step == step);
        if (stays)
            kept++;
        else
            kpar_step_folder_remove(folder->path);
    }
    kpar_step_folders_clear(&folders);
}

kpar_status kpar_checkpoint_commit(const char *dir, const kpar_checkpoint_facts *facts,
                                   const char *const *pieces, int ranks, int keep)
{
    kpar_text folder = {0};
    kpar_step_folder_path(dir, facts->step, "", &folder);
    json_t *all = json_array();
    kpar_status status = KPAR_OK;
    for (int rank = 0; rank < ranks && status == KPAR_OK; rank++)
        status = merge_list(pieces[rank], rank, all);
    if (status == KPAR_OK) status = check_pieces(all);
    if (status == KPAR_OK) status = write_manifest(kpar_text_get(&folder), facts, json_incref(all));
    json_decref(all);
    if (status == KPAR_OK) remove_older(dir, facts->step, keep);
    kpar_text_clear(&folder);
    return status;
}
