/* What the files of the checkpoint container share. */
#ifndef KPAR_TRAIN_CHECKPOINT_INTERNAL_H
#define KPAR_TRAIN_CHECKPOINT_INTERNAL_H

#include "base/memory.h"
#include "train/checkpoint_file.h"

#include <jansson.h>

#define KPAR_CHECKPOINT_FORMAT "kpar.checkpoint/1"
#define KPAR_CHECKPOINT_MANIFEST "manifest.json"

/* A slice of a variable in a rank's file. */
typedef struct kpar_piece {
    const char *path;
    kpar_dtype dtype;
    int rank;
    int64_t dims[KPAR_MAX_RANK]; /* of the whole variable */
    kpar_slice slice;
    size_t file; /* index into the checkpoint's files */
    uint64_t offset, bytes, checksum;
} kpar_piece;

typedef struct kpar_piece_file {
    const char *name;
    int descriptor; /* -1: not opened yet */
    uint64_t bytes; /* as its pieces say */
} kpar_piece_file;

struct kpar_checkpoint {
    kpar_arena *arena;
    char *folder;
    kpar_checkpoint_facts facts;
    kpar_piece *pieces; /* sorted by path */
    size_t n_pieces, pieces_capacity;
    kpar_piece_file *files;
    size_t n_files, files_capacity;
    unsigned char *window; /* bytes [window_offset, window_offset + window_bytes) of file window_file */
    size_t window_file, window_bytes;
    uint64_t window_offset;
};

enum { KPAR_CHECKPOINT_WINDOW = 1 << 20 };

/* checkpoint_find.c: one that knows nothing yet but its folder. */
kpar_checkpoint *kpar_checkpoint_allocate(const char *folder);

/* checkpoint_piece.c: a piece as JSON and back, with everything checked. */
json_t *kpar_piece_to_json(const kpar_piece *piece, const char *file);
kpar_status kpar_piece_from_json(kpar_checkpoint *checkpoint, const json_t *json,
                                 kpar_piece *piece) KPAR_MUST_USE;

/* Bytes of a slice; false on overflow. */
bool kpar_piece_bytes(const kpar_slice *slice, kpar_dtype dtype, uint64_t *bytes);

/* checkpoint_manifest.c */
/* Sealed with its checksum; NULL when a text is no UTF-8. Takes `pieces`. */
json_t *kpar_manifest_make(const kpar_checkpoint_facts *facts, json_t *pieces);
kpar_status kpar_manifest_read(kpar_checkpoint *checkpoint) KPAR_MUST_USE;
kpar_status kpar_manifest_read_pieces(kpar_checkpoint *checkpoint,
                                      const json_t *pieces) KPAR_MUST_USE; /* and sorts them */

/* checkpoint_folder.c: the folders DIR/step-N, newest first; one of the same step set aside comes after. */
typedef struct kpar_step_folder {
    int64_t step;
    bool old, finished; /* finished: has a manifest */
    char *path;
} kpar_step_folder;
typedef struct kpar_step_folders {
    kpar_step_folder *items;
    size_t n, capacity;
} kpar_step_folders;

kpar_status kpar_step_folders_list(const char *dir, kpar_step_folders *folders) KPAR_MUST_USE;
void kpar_step_folders_clear(kpar_step_folders *folders);
void kpar_step_folder_path(const char *dir, int64_t step, const char *suffix, kpar_text *path);
void kpar_step_folder_remove(const char *path); /* the manifest first; what is not ours stays */

/* checkpoint_read.c: the descriptor of a file of pieces, opened when first needed; reads all of `bytes`. */
kpar_status kpar_piece_file_open(kpar_checkpoint *checkpoint, size_t file, int *descriptor) KPAR_MUST_USE;
kpar_status kpar_piece_file_read(kpar_checkpoint *checkpoint, size_t file, uint64_t offset, size_t bytes,
                                 void *target) KPAR_MUST_USE;

#endif
