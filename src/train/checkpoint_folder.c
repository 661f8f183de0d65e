/* The folders of checkpoints in DIR: listing, beginning and removing them. */
#include "train/checkpoint_internal.h"

#include "data/output.h"

#include <dirent.h>
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define OLD_SUFFIX ".old"

void kpar_step_folder_path(const char *dir, int64_t step, const char *suffix, kpar_text *path)
{
    kpar_text_printf(path, "%s/step-%08" PRId64 "%s", dir, step, suffix);
}

/* Reads "step-00000012" or "step-00000012.old". */
static bool parse_name(const char *name, int64_t *step, bool *old)
{
    static const char prefix[] = "step-";
    if (strncmp(name, prefix, sizeof prefix - 1) != 0) return false;
    const char *digits = name + sizeof prefix - 1;
    size_t count = strspn(digits, "0123456789");
    if (count < 8 || count > 18) return false;
    *step = strtoll(digits, NULL, 10);
    *old = !strcmp(digits + count, OLD_SUFFIX);
    return *old || !digits[count];
}

static bool has_manifest(const char *folder)
{
    kpar_text path = {0};
    kpar_text_printf(&path, "%s/" KPAR_CHECKPOINT_MANIFEST, folder);
    bool found = !access(kpar_text_get(&path), F_OK);
    kpar_text_clear(&path);
    return found;
}

static int newest_first(const void *a, const void *b)
{
    const kpar_step_folder *first = a, *second = b;
    if (first->step != second->step) return first->step < second->step ? 1 : -1;
    return first->old - second->old;
}

kpar_status kpar_step_folders_list(const char *dir, kpar_step_folders *folders)
{
    *folders = (kpar_step_folders){0};
    DIR *stream = opendir(dir);
    if (!stream && errno == ENOENT) return KPAR_OK;
    if (!stream) return kpar_fail(KPAR_EIO, "%s: cannot be read: %s", dir, strerror(errno));
    for (struct dirent *entry; (entry = readdir(stream));) {
        kpar_step_folder found = {0};
        if (!parse_name(entry->d_name, &found.step, &found.old)) continue;
        kpar_text path = {0};
        kpar_text_printf(&path, "%s/%s", dir, entry->d_name);
        found.path = kpar_strdup(kpar_text_get(&path));
        found.finished = has_manifest(found.path);
        kpar_text_clear(&path);
        KPAR_PUSH(folders->items, folders->n, folders->capacity) = found;
    }
    closedir(stream);
    if (folders->n) qsort(folders->items, folders->n, sizeof *folders->items, newest_first);
    return KPAR_OK;
}

void kpar_step_folders_clear(kpar_step_folders *folders)
{
    for (size_t i = 0; i < folders->n; i++) kpar_free(folders->items[i].path);
    kpar_free(folders->items);
    *folders = (kpar_step_folders){0};
}

static void remove_file(const char *folder, const char *name)
{
    kpar_text path = {0};
    kpar_text_printf(&path, "%s/%s", folder, name);
    unlink(kpar_text_get(&path));
    kpar_text_clear(&path);
}

void kpar_step_folder_remove(const char *folder)
{
    remove_file(folder, KPAR_CHECKPOINT_MANIFEST);
    DIR *stream = opendir(folder);
    if (!stream) return;
    for (struct dirent *entry; (entry = readdir(stream));) {
        bool ours = !strncmp(entry->d_name, "rank-", 5) ||
                    !strncmp(entry->d_name, KPAR_CHECKPOINT_MANIFEST, sizeof KPAR_CHECKPOINT_MANIFEST - 1);
        if (ours) remove_file(folder, entry->d_name);
    }
    closedir(stream);
    rmdir(folder);
}

/* Sets a finished checkpoint at `path` aside, or removes an unfinished one. */
static kpar_status set_aside(const char *path, const char *old_path)
{
    if (!has_manifest(path)) {
        kpar_step_folder_remove(path);
        return KPAR_OK;
    }
    kpar_step_folder_remove(old_path);
    if (rename(path, old_path))
        return kpar_fail(KPAR_EIO, "%s: cannot be set aside: %s", path, strerror(errno));
    return KPAR_OK;
}

kpar_status kpar_checkpoint_begin(const char *dir, int64_t step)
{
    kpar_text path = {0}, old_path = {0};
    kpar_step_folder_path(dir, step, "", &path);
    kpar_step_folder_path(dir, step, OLD_SUFFIX, &old_path);
    kpar_status status = set_aside(kpar_text_get(&path), kpar_text_get(&old_path));
    if (status == KPAR_OK && mkdir(kpar_text_get(&path), 0777))
        status = kpar_fail(KPAR_EIO, "%s: cannot be made: %s", kpar_text_get(&path), strerror(errno));
    if (status == KPAR_OK) kpar_new_file_sync_folder(dir);
    kpar_text_clear(&path);
    kpar_text_clear(&old_path);
    return status;
}
