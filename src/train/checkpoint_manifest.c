/* The manifest: JSON that carries a checksum of itself, taken over its sorted, compact form without that
 * member. */
#include "train/checkpoint_internal.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <xxhash.h>

enum { CHECKSUM_TEXT = 17 };

static void manifest_checksum(const json_t *manifest, char text[CHECKSUM_TEXT])
{
    char *compact = json_dumps(manifest, JSON_SORT_KEYS | JSON_COMPACT);
    uint64_t checksum = compact ? XXH3_64bits(compact, strlen(compact)) : 0;
    free(compact);
    snprintf(text, CHECKSUM_TEXT, "%016" PRIx64, checksum);
}

/* NULL, which json_pack passes on, when a text is no UTF-8. */
static json_t *texts_to_json(const kpar_named_text *texts, size_t n)
{
    json_t *object = json_object();
    for (size_t i = 0; i < n; i++) {
        if (!json_object_set_new(object, texts[i].name, json_string(texts[i].value))) continue;
        json_decref(object);
        return NULL;
    }
    return object;
}

json_t *kpar_manifest_make(const kpar_checkpoint_facts *facts, json_t *pieces)
{
    json_t *manifest =
        json_pack("{ss sI sI sI so so so}", "format", KPAR_CHECKPOINT_FORMAT, "step", (json_int_t)facts->step,
                  "epoch", (json_int_t)facts->epoch, "batch", (json_int_t)facts->batch, "identity",
                  texts_to_json(facts->identity, facts->n_identity), "notes",
                  texts_to_json(facts->notes, facts->n_notes), "pieces", pieces);
    char checksum[CHECKSUM_TEXT];
    manifest_checksum(manifest, checksum);
    json_object_set_new(manifest, "checksum", json_string(checksum));
    return manifest;
}

/* Whether the manifest is what was written; takes its checksum out. */
static kpar_status check_seal(json_t *manifest)
{
    char expected[CHECKSUM_TEXT] = "none", found[CHECKSUM_TEXT];
    const char *stated = json_string_value(json_object_get(manifest, "checksum"));
    if (stated) snprintf(expected, sizeof expected, "%s", stated);
    bool whole = stated && strlen(stated) == CHECKSUM_TEXT - 1;
    json_object_del(manifest, "checksum");
    manifest_checksum(manifest, found);
    if (whole && !strcmp(expected, found)) return KPAR_OK;
    return kpar_fail(KPAR_EFORMAT, "its checksum is %s, expected %s", found, expected);
}

static kpar_status read_texts(kpar_checkpoint *checkpoint, json_t *object, const kpar_named_text **texts,
                              size_t *n)
{
    if (!json_is_object(object)) return kpar_fail(KPAR_EFORMAT, "its identity or notes are missing");
    kpar_named_text *list =
        kpar_arena_alloc(checkpoint->arena, (json_object_size(object) + 1) * sizeof *list);
    const char *name = NULL;
    json_t *value = NULL;
    *n = 0;
    json_object_foreach(object, name, value)
    {
        if (!json_is_string(value)) return kpar_fail(KPAR_EFORMAT, "'%s' is no text", name);
        list[*n].name = kpar_arena_strdup(checkpoint->arena, name);
        list[(*n)++].value = kpar_arena_strdup(checkpoint->arena, json_string_value(value));
    }
    *texts = list;
    return KPAR_OK;
}

static int by_path(const void *a, const void *b)
{
    const kpar_piece *first = a, *second = b;
    int order = strcmp(first->path, second->path);
    if (order) return order;
    if (first->file != second->file) return first->file < second->file ? -1 : 1;
    return first->offset < second->offset ? -1 : first->offset > second->offset;
}

kpar_status kpar_manifest_read_pieces(kpar_checkpoint *checkpoint, const json_t *pieces)
{
    for (size_t i = 0; i < json_array_size(pieces); i++) {
        kpar_piece piece;
        KPAR_TRY(kpar_piece_from_json(checkpoint, json_array_get(pieces, i), &piece));
        KPAR_PUSH(checkpoint->pieces, checkpoint->n_pieces, checkpoint->pieces_capacity) = piece;
        uint64_t *bytes = &checkpoint->files[piece.file].bytes;
        if (piece.offset + piece.bytes > *bytes) *bytes = piece.offset + piece.bytes;
    }
    if (checkpoint->n_pieces)
        qsort(checkpoint->pieces, checkpoint->n_pieces, sizeof *checkpoint->pieces, by_path);
    return KPAR_OK;
}

static kpar_status read_members(kpar_checkpoint *checkpoint, json_t *manifest)
{
    KPAR_TRY(check_seal(manifest));
    const char *format = NULL;
    json_int_t step = 0, epoch = 0, batch = 0;
    json_t *identity = NULL, *notes = NULL, *pieces = NULL;
    if (json_unpack(manifest, "{ss sI sI sI so so so}", "format", &format, "step", &step, "epoch", &epoch,
                    "batch", &batch, "identity", &identity, "notes", &notes, "pieces", &pieces))
        return kpar_fail(KPAR_EFORMAT, "members are missing");
    if (strcmp(format, KPAR_CHECKPOINT_FORMAT) != 0)
        return kpar_fail(KPAR_EUNSUPPORTED, "has format %s, supported is " KPAR_CHECKPOINT_FORMAT, format);
    kpar_checkpoint_facts *facts = &checkpoint->facts;
    facts->step = step;
    facts->epoch = epoch;
    facts->batch = batch;
    KPAR_TRY(read_texts(checkpoint, identity, &facts->identity, &facts->n_identity));
    KPAR_TRY(read_texts(checkpoint, notes, &facts->notes, &facts->n_notes));
    return kpar_manifest_read_pieces(checkpoint, pieces);
}

kpar_status kpar_manifest_read(kpar_checkpoint *checkpoint)
{
    kpar_text path = {0};
    json_error_t error;
    kpar_text_printf(&path, "%s/" KPAR_CHECKPOINT_MANIFEST, checkpoint->folder);
    json_t *manifest = json_load_file(kpar_text_get(&path), JSON_REJECT_DUPLICATES, &error);
    kpar_text_clear(&path);
    kpar_status status = KPAR_OK;
    if (json_is_object(manifest))
        status = read_members(checkpoint, manifest);
    else
        status = kpar_fail(KPAR_EFORMAT, "%s", manifest ? "is no JSON object" : error.text);
    json_decref(manifest);
    return status == KPAR_OK ? KPAR_OK
                             : kpar_fail_in(status, "%s: " KPAR_CHECKPOINT_MANIFEST, checkpoint->folder);
}
