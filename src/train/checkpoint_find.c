/* Opening checkpoints: the newest one that is whole, and whether it belongs to this run. */
#include "train/checkpoint_internal.h"

#include <errno.h>
#include <inttypes.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <xxhash.h>

kpar_checkpoint *kpar_checkpoint_allocate(const char *folder)
{
    kpar_checkpoint *made = kpar_alloc_zeroed(1, sizeof *made);
    made->arena = kpar_arena_create();
    made->folder = kpar_arena_strdup(made->arena, folder);
    return made;
}

kpar_status kpar_checkpoint_open(const char *folder, kpar_checkpoint **checkpoint)
{
    kpar_checkpoint *opened = kpar_checkpoint_allocate(folder);
    kpar_status status = kpar_manifest_read(opened);
    *checkpoint = status == KPAR_OK ? opened : NULL;
    if (status != KPAR_OK) kpar_checkpoint_close(opened);
    return status;
}

void kpar_checkpoint_close(kpar_checkpoint *checkpoint)
{
    if (!checkpoint) return;
    for (size_t i = 0; i < checkpoint->n_files; i++)
        if (checkpoint->files[i].descriptor >= 0) close(checkpoint->files[i].descriptor);
    kpar_free(checkpoint->files);
    kpar_free(checkpoint->pieces);
    kpar_free(checkpoint->window);
    kpar_arena_destroy(checkpoint->arena);
    kpar_free(checkpoint);
}

const char *kpar_checkpoint_folder(const kpar_checkpoint *checkpoint) { return checkpoint->folder; }

const kpar_checkpoint_facts *kpar_checkpoint_get_facts(const kpar_checkpoint *checkpoint)
{
    return &checkpoint->facts;
}

static const char *find_text(const kpar_named_text *texts, size_t n, const char *name)
{
    for (size_t i = 0; i < n; i++)
        if (!strcmp(texts[i].name, name)) return texts[i].value;
    return NULL;
}

const char *kpar_checkpoint_note(const kpar_checkpoint *checkpoint, const char *name)
{
    return find_text(checkpoint->facts.notes, checkpoint->facts.n_notes, name);
}

static kpar_status check_file_size(kpar_checkpoint *checkpoint, size_t index)
{
    const kpar_piece_file *file = &checkpoint->files[index];
    int descriptor = -1;
    struct stat facts;
    KPAR_TRY(kpar_piece_file_open(checkpoint, index, &descriptor));
    if (fstat(descriptor, &facts))
        return kpar_fail(KPAR_EIO, "%s/%s: %s", checkpoint->folder, file->name, strerror(errno));
    if ((uint64_t)facts.st_size == file->bytes) return KPAR_OK;
    return kpar_fail(KPAR_EFORMAT, "%s/%s: has %lld bytes, expected %llu", checkpoint->folder, file->name,
                     (long long)facts.st_size, (unsigned long long)file->bytes);
}

static kpar_status hash_piece(kpar_checkpoint *checkpoint, const kpar_piece *piece, XXH3_state_t *state,
                              unsigned char *buffer)
{
    XXH3_64bits_reset(state);
    for (uint64_t done = 0; done < piece->bytes;) {
        size_t bytes = piece->bytes - done < KPAR_CHECKPOINT_WINDOW ? (size_t)(piece->bytes - done)
                                                                    : KPAR_CHECKPOINT_WINDOW;
        KPAR_TRY(kpar_piece_file_read(checkpoint, piece->file, piece->offset + done, bytes, buffer));
        XXH3_64bits_update(state, buffer, bytes);
        done += bytes;
    }
    uint64_t found = XXH3_64bits_digest(state);
    if (found == piece->checksum) return KPAR_OK;
    return kpar_fail(KPAR_EFORMAT, "%s/%s: the checksum of %s is %016" PRIx64 ", expected %016" PRIx64,
                     checkpoint->folder, checkpoint->files[piece->file].name, piece->path, found,
                     piece->checksum);
}

/* Reads every byte and compares it with the manifest. */
static kpar_status verify(kpar_checkpoint *checkpoint)
{
    for (size_t i = 0; i < checkpoint->n_files; i++) KPAR_TRY(check_file_size(checkpoint, i));
    XXH3_state_t *state = XXH3_createState();
    unsigned char *buffer = kpar_alloc(KPAR_CHECKPOINT_WINDOW);
    kpar_status status = state ? KPAR_OK : kpar_fail(KPAR_ENOMEM, "no memory for a checksum");
    for (size_t i = 0; i < checkpoint->n_pieces && status == KPAR_OK; i++)
        status = hash_piece(checkpoint, &checkpoint->pieces[i], state, buffer);
    kpar_free(buffer);
    XXH3_freeState(state);
    return status;
}

static kpar_status open_verified(const char *folder, kpar_checkpoint **checkpoint)
{
    KPAR_TRY(kpar_checkpoint_open(folder, checkpoint));
    kpar_status status = verify(*checkpoint);
    if (status == KPAR_OK) return KPAR_OK;
    kpar_checkpoint_close(*checkpoint);
    *checkpoint = NULL;
    return status;
}

kpar_status kpar_checkpoint_find(const char *dir, kpar_checkpoint **checkpoint, kpar_text *messages)
{
    kpar_step_folders folders;
    size_t damaged = 0;
    *checkpoint = NULL;
    KPAR_TRY(kpar_step_folders_list(dir, &folders));
    for (size_t i = 0; i < folders.n && !*checkpoint; i++) {
        const kpar_step_folder *folder = &folders.items[i];
        if (!folder->finished) {
            kpar_text_printf(messages, "checkpoint %s was never finished and is passed over\n", folder->path);
        } else if (open_verified(folder->path, checkpoint) != KPAR_OK) {
            damaged++;
            kpar_text_printf(messages, "checkpoint %s is damaged (%s); looking for the one before\n",
                             folder->path, kpar_error_message());
        }
    }
    kpar_step_folders_clear(&folders);
    if (*checkpoint || !damaged) return KPAR_OK;
    return kpar_fail(
        KPAR_EFORMAT,
        "%s: all %zu finished checkpoints are damaged; restore one, or give an empty folder to start afresh",
        dir, damaged);
}

static void add_difference(kpar_text *differences, const char *name, const char *theirs, const char *ours)
{
    kpar_text_printf(differences, "%s%s is %s there and %s here", differences->length ? "; " : "", name,
                     theirs ? theirs : "not given", ours ? ours : "not given");
}

kpar_status kpar_checkpoint_check(const kpar_checkpoint *checkpoint, const kpar_named_text *identity,
                                  size_t n)
{
    const kpar_checkpoint_facts *facts = &checkpoint->facts;
    kpar_text differences = {0};
    for (size_t i = 0; i < n; i++) {
        const char *theirs = find_text(facts->identity, facts->n_identity, identity[i].name);
        if (!theirs || strcmp(theirs, identity[i].value) != 0)
            add_difference(&differences, identity[i].name, theirs, identity[i].value);
    }
    for (size_t i = 0; i < facts->n_identity; i++)
        if (!find_text(identity, n, facts->identity[i].name))
            add_difference(&differences, facts->identity[i].name, facts->identity[i].value, NULL);
    kpar_status status = KPAR_OK;
    if (differences.length)
        status = kpar_fail(KPAR_EUSAGE,
                           "%s: belongs to another run: %s; give that run's arguments or another folder",
                           checkpoint->folder, kpar_text_get(&differences));
    kpar_text_clear(&differences);
    return status;
}
