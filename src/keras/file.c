/* Opening model files: an archive, a JSON or HDF5, told apart by their first bytes. */
#include "keras/file.h"

#include "keras/io.h"
#include "keras/legacy.h"
#include "keras/store.h"

#include "base/memory.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static kpar_status open_archive(kpar_keras_file *file)
{
    KPAR_TRY(kpar_archive_open(file->path, file->fd, &file->archive));
    return kpar_archive_read(file->archive, KPAR_ENTRY_CONFIG, &file->config, &file->config_length);
}

kpar_status kpar_keras_set_config(kpar_keras_file *file, const json_t *root)
{
    void *text;
    const size_t bytes = json_dumpb(root, NULL, 0, 0);
    KPAR_TRY(kpar_try_alloc(bytes + 1, file->path, &text));
    kpar_free_aligned(file->config);
    file->config = text;
    file->config_length = json_dumpb(root, text, bytes, 0);
    return KPAR_OK;
}

/* A config of today is taken as it is. What is no JSON is told later, where it is read. */
static kpar_status modernize(kpar_keras_file *file)
{
    json_t *root = json_loadb(file->config, file->config_length, 0, NULL);
    kpar_status status = KPAR_OK;
    if (json_object_get(root, "class_name") && !json_object_get(root, "module")) {
        status = kpar_legacy_modernize(file->path, root);
        if (status == KPAR_OK) status = kpar_keras_set_config(file, root);
    }
    json_decref(root);
    return status;
}

static kpar_status open_json(kpar_keras_file *file, size_t bytes)
{
    void *text;
    KPAR_TRY(kpar_try_alloc(bytes + 1, file->path, &text));
    file->config = text;
    file->config_length = bytes;
    if (kpar_io_read(file->fd, text, bytes, 0)) return modernize(file);
    return kpar_fail(KPAR_EIO, "%s: cannot be read: %s", file->path, strerror(errno));
}

static kpar_status open_hdf5(kpar_keras_file *file, size_t bytes)
{
    kpar_store_quiet();
    if (!kpar_window_open(&(kpar_window){file->fd, 0, bytes}, &file->h5))
        return kpar_store_fail(KPAR_EFORMAT, file->path, "this HDF5 file is damaged or cut short");
    return kpar_legacy_open(file);
}

/* The kinds of file, by how they begin. */
static kpar_status open_kind(kpar_keras_file *file, size_t bytes)
{
    char start[16] = "";
    if (!kpar_io_read(file->fd, start, bytes < sizeof start ? bytes : sizeof start - 1, 0))
        return kpar_fail(KPAR_EIO, "%s: cannot be read: %s", file->path, strerror(errno));
    if (memcmp(start, "PK", 2) == 0) return open_archive(file);
    if (start[strspn(start, " \t\r\n")] == '{') return open_json(file, bytes);
    if (memcmp(start, "\x89HDF", 4) == 0) return open_hdf5(file, bytes);
    return kpar_fail(KPAR_EFORMAT, "%s: is neither a .keras archive nor a model in JSON or HDF5", file->path);
}

static kpar_status open_path(kpar_keras_file *file)
{
    struct stat facts;
    file->fd = open(file->path, O_RDONLY | O_CLOEXEC);
    if (file->fd < 0 || fstat(file->fd, &facts) != 0)
        return kpar_fail(KPAR_EIO, "%s: cannot be opened: %s", file->path, strerror(errno));
    if (!S_ISREG(facts.st_mode))
        return kpar_fail(KPAR_EIO, "%s: is no regular file, expected a .keras archive or a model in JSON",
                         file->path);
    return open_kind(file, (size_t)facts.st_size);
}

static kpar_status has_config(const kpar_keras_file *file)
{
    return file->config
               ? KPAR_OK
               : kpar_fail(KPAR_EUSAGE,
                           "%s: holds weights without a model; give the model as .keras or JSON, and "
                           "this file with --weights",
                           file->path);
}

static kpar_status has_weights(const kpar_keras_file *file)
{
    return kpar_keras_has_weights(file)
               ? KPAR_OK
               : kpar_fail(KPAR_EUSAGE, "%s: has no weights; expected .weights.h5, .keras or .h5",
                           file->path);
}

static kpar_status open_for(const char *path, kpar_status (*check)(const kpar_keras_file *file),
                            kpar_keras_file **file)
{
    kpar_keras_file *f = kpar_alloc_zeroed(1, sizeof *f);
    *f = (kpar_keras_file){.path = kpar_strdup(path), .fd = -1, .h5 = {-1, -1}, .arena = kpar_arena_create()};
    kpar_status status = open_path(f);
    if (status == KPAR_OK) status = check(f);
    *file = status == KPAR_OK ? f : NULL;
    if (status != KPAR_OK) kpar_keras_close(f);
    return status;
}

kpar_status kpar_keras_open(const char *path, kpar_keras_file **file)
{
    return open_for(path, has_config, file);
}

kpar_status kpar_keras_take_weights(kpar_keras_file *file, const char *path)
{
    kpar_keras_close(file->weights);
    return open_for(path, has_weights, &file->weights);
}

void kpar_keras_close(kpar_keras_file *file)
{
    if (!file) return;
    kpar_keras_close(file->weights);
    kpar_arena_destroy(file->arena);
    kpar_names_clear(&file->paths);
    kpar_free(file->datasets);
    kpar_window_close(&file->h5);
    kpar_archive_close(file->archive);
    if (file->fd >= 0) close(file->fd);
    kpar_free_aligned(file->config);
    kpar_free(file->path);
    kpar_free(file);
}

const char *kpar_keras_config(const kpar_keras_file *file, size_t *length)
{
    *length = file->config_length;
    return file->config;
}

bool kpar_keras_has_weights(const kpar_keras_file *file)
{
    if (file->weights) return true;
    return file->archive ? kpar_archive_has(file->archive, KPAR_ENTRY_WEIGHTS) : file->h5.id >= 0;
}

size_t kpar_keras_bytes_read(const kpar_keras_file *file)
{
    return file->weights ? file->weights->bytes_read : file->bytes_read;
}

kpar_status kpar_keras_verify(kpar_keras_file *file)
{
    const kpar_keras_file *of = file->weights ? file->weights : file;
    return of->archive && kpar_keras_has_weights(of) ? kpar_archive_verify(of->archive, KPAR_ENTRY_WEIGHTS)
                                                     : KPAR_OK;
}

kpar_status kpar_keras_open_weights(kpar_keras_file *file)
{
    kpar_store_quiet();
    if (file->h5.id >= 0) return KPAR_OK;
    if (!file->archive)
        return kpar_fail(KPAR_EUSAGE, "%s: has no weights, it is a model in JSON", file->path);
    if (kpar_archive_has(file->archive, "model.weights.npz"))
        return kpar_fail(
            KPAR_EUNSUPPORTED,
            "%s: weights are in model.weights.npz, expected %s; save it with weights_format=\"h5\"",
            file->path, KPAR_ENTRY_WEIGHTS);
    kpar_window window;
    KPAR_TRY(kpar_archive_window(file->archive, KPAR_ENTRY_WEIGHTS, &window));
    if (kpar_window_open(&window, &file->h5)) return KPAR_OK;
    kpar_status status = kpar_store_fail(KPAR_EFORMAT, file->path, KPAR_ENTRY_WEIGHTS " cannot be opened");
    kpar_window_close(&file->h5);
    return status;
}
