/* Opening model files: an archive or a JSON, told apart by their first bytes. */
#include "keras/file.h"

#include "keras/io.h"
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

static kpar_status open_json(kpar_keras_file *file, size_t bytes)
{
    void *text;
    KPAR_TRY(kpar_try_alloc(bytes + 1, file->path, &text));
    file->config = text;
    file->config_length = bytes;
    if (kpar_io_read(file->fd, text, bytes, 0)) return KPAR_OK;
    return kpar_fail(KPAR_EIO, "%s: cannot be read: %s", file->path, strerror(errno));
}

/* The kinds of file, by how they begin. */
static kpar_status open_kind(kpar_keras_file *file, size_t bytes)
{
    char start[16] = "";
    if (!kpar_io_read(file->fd, start, bytes < sizeof start ? bytes : sizeof start - 1, 0))
        return kpar_fail(KPAR_EIO, "%s: cannot be read: %s", file->path, strerror(errno));
    if (memcmp(start, "PK", 2) == 0) return open_archive(file);
    if (start[strspn(start, " \t\r\n")] == '{') return open_json(file, bytes);
    if (memcmp(start, "\x89HDF", 4) == 0)
        return kpar_fail(
            KPAR_EUNSUPPORTED,
            "%s: is an HDF5 file, expected .keras or JSON; load it in Keras and save it as .keras",
            file->path);
    return kpar_fail(KPAR_EFORMAT, "%s: is neither a .keras archive nor a model in JSON", file->path);
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

kpar_status kpar_keras_open(const char *path, kpar_keras_file **file)
{
    kpar_keras_file *f = kpar_alloc_zeroed(1, sizeof *f);
    *f = (kpar_keras_file){.path = kpar_strdup(path), .fd = -1, .h5 = {-1, -1}};
    kpar_status status = open_path(f);
    *file = status == KPAR_OK ? f : NULL;
    if (status != KPAR_OK) kpar_keras_close(f);
    return status;
}

void kpar_keras_close(kpar_keras_file *file)
{
    if (!file) return;
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
    return file->archive && kpar_archive_has(file->archive, KPAR_ENTRY_WEIGHTS);
}

size_t kpar_keras_bytes_read(const kpar_keras_file *file) { return file->bytes_read; }

kpar_status kpar_keras_verify(kpar_keras_file *file)
{
    return kpar_keras_has_weights(file) ? kpar_archive_verify(file->archive, KPAR_ENTRY_WEIGHTS) : KPAR_OK;
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
