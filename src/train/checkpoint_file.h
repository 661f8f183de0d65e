/* The container of checkpoints: knows variables, slices and files, and nothing of meshes.
 *
 *     DIR/lock                           held while a job uses DIR
 *     DIR/step-00000012/rank-00003.bin   raw slices, one after the other, as the rank gave them
 *     DIR/step-00000012/manifest.json    what lies where, with checksums; written last
 *     DIR/step-00000012.old/             an earlier one of the same step, until the new one is whole
 *
 * A folder without a manifest was never finished and is passed over. What was saved as any set of slices is
 * read as any other. Calls belong to rank 0 unless they say "each rank"; the caller keeps the ranks in step:
 * lock, begin, (barrier), each rank writes, (gather of the piece lists), commit. */
#ifndef KPAR_TRAIN_CHECKPOINT_FILE_H
#define KPAR_TRAIN_CHECKPOINT_FILE_H

#include "base/text.h"
#include "report/event.h"
#include "tensor/array.h"

enum { KPAR_CHECKPOINT_KEEP = 2 };

/* What a checkpoint says of itself beside its pieces. */
typedef struct kpar_checkpoint_facts {
    int64_t step;         /* optimizer steps done */
    int64_t epoch, batch; /* epoch that goes on, and batches done within it */
    const kpar_named_text
        *identity; /* what a resume must have in common: "model", "data", "batch size", "seed" ... */
    size_t n_identity;
    const kpar_named_text *notes; /* anything else worth keeping; not compared */
    size_t n_notes;
} kpar_checkpoint_facts;

/* --- Locking --- */

typedef struct kpar_checkpoint_lock kpar_checkpoint_lock;

/* Makes `dir` if it is missing and takes it for this job. KPAR_EUSAGE names process and host of the job that
 * has it. Where the file system knows no locks the job goes on without one. */
kpar_status kpar_checkpoint_lock_take(const char *dir, kpar_checkpoint_lock **lock) KPAR_MUST_USE;
void kpar_checkpoint_lock_release(kpar_checkpoint_lock *lock); /* NULL is fine */

/* --- Writing --- */

/* Makes an empty folder for the checkpoint of `step`, setting an earlier one of the same step aside. */
kpar_status kpar_checkpoint_begin(const char *dir, int64_t step) KPAR_MUST_USE;

typedef struct kpar_checkpoint_writer kpar_checkpoint_writer;

/* Each rank: begins its file. */
kpar_status kpar_checkpoint_writer_open(const char *dir, int64_t step, int rank,
                                        kpar_checkpoint_writer **writer) KPAR_MUST_USE;

/* Each rank: appends the part `slice` of variable `path`, whose whole is dtype, rank, dims; `values` are
 * row-major. Over all ranks each element is written once. */
kpar_status kpar_checkpoint_write_piece(kpar_checkpoint_writer *writer, const char *path, kpar_dtype dtype,
                                        int rank, const int64_t *dims, const kpar_slice *slice,
                                        const void *values) KPAR_MUST_USE;

/* Each rank: syncs the file and appends the list of its pieces, one line of text, to `pieces`. Frees the
 * writer. */
kpar_status kpar_checkpoint_writer_close(kpar_checkpoint_writer *writer, kpar_text *pieces) KPAR_MUST_USE;
void kpar_checkpoint_writer_abandon(kpar_checkpoint_writer *writer);

/* Writes the manifest from the piece lists of all ranks, which makes the checkpoint count; then removes
 * older ones so that `keep` (at least 1) remain, and leftovers of unfinished ones. Newer ones are left
 * alone. KPAR_EINTERNAL when the pieces are not all of each variable. */
kpar_status kpar_checkpoint_commit(const char *dir, const kpar_checkpoint_facts *facts,
                                   const char *const *pieces, int ranks, int keep) KPAR_MUST_USE;

/* --- Reading --- */

typedef struct kpar_checkpoint kpar_checkpoint;

/* Opens the newest checkpoint in `dir` whose manifest and checksums are right. *checkpoint is NULL where
 * there is none at all: no folder, an empty one, or only unfinished ones. Each one passed over is told in a
 * line of `messages`. KPAR_EFORMAT when there are finished ones and all are damaged: training does not start
 * afresh unasked. */
kpar_status kpar_checkpoint_find(const char *dir, kpar_checkpoint **checkpoint,
                                 kpar_text *messages) KPAR_MUST_USE;

/* Each rank: opens the checkpoint that rank 0 found, by its folder's name as kpar_checkpoint_folder gave it.
 * Checks the manifest, not the pieces. */
kpar_status kpar_checkpoint_open(const char *folder, kpar_checkpoint **checkpoint) KPAR_MUST_USE;
void kpar_checkpoint_close(kpar_checkpoint *checkpoint); /* NULL is fine */

const char *kpar_checkpoint_folder(const kpar_checkpoint *checkpoint); /* DIR/step-00000012; borrowed */
const kpar_checkpoint_facts *kpar_checkpoint_get_facts(const kpar_checkpoint *checkpoint);
const char *kpar_checkpoint_note(const kpar_checkpoint *checkpoint, const char *name); /* NULL: not there */

/* KPAR_EUSAGE names everything that differs between the checkpoint's identity and this run's, with both
 * values. */
kpar_status kpar_checkpoint_check(const kpar_checkpoint *checkpoint, const kpar_named_text *identity,
                                  size_t n) KPAR_MUST_USE;

bool kpar_checkpoint_has(const kpar_checkpoint *checkpoint, const char *path);

/* Each rank: reads the part `slice` of a variable from whichever pieces have it. KPAR_EDATA when the
 * variable is not there or has another type or shape than dtype, rank, dims. */
kpar_status kpar_checkpoint_read(kpar_checkpoint *checkpoint, const char *path, kpar_dtype dtype, int rank,
                                 const int64_t *dims, const kpar_slice *slice, void *values) KPAR_MUST_USE;

#endif
