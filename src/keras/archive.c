/* Reading .keras archives with libzip. An entry that declares more than its stored bytes can hold is refused
 * before anything is allocated or unpacked. */
#include "keras/archive.h"

#include "keras/io.h"
#include "keras/zip_source.h"

#include "base/memory.h"

#include <errno.h>
#include <inttypes.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { BLOCK_BYTES = 1 << 20 };

struct kpar_archive {
    const char *path;
    zip_t *zip;
    kpar_zip_file file;
    int temporary; /* an unpacked entry; -1: none */
};

kpar_status kpar_archive_open(const char *path, int fd, kpar_archive **archive)
{
    struct stat facts;
    if (fstat(fd, &facts) != 0) return kpar_fail(KPAR_EIO, "%s: cannot be read: %s", path, strerror(errno));
    kpar_archive *a = kpar_alloc_zeroed(1, sizeof *a);
    *a = (kpar_archive){.path = path, .file = {.fd = fd, .size = (uint64_t)facts.st_size}, .temporary = -1};
    zip_error_t error;
    zip_error_init(&error);
    zip_source_t *source = kpar_zip_source(&a->file, &error);
    a->zip = source ? zip_open_from_source(source, ZIP_RDONLY, &error) : NULL;
    if (a->zip) {
        *archive = a;
        return KPAR_OK;
    }
    kpar_fail(KPAR_EFORMAT, "%s: is no whole .keras archive: %s; it may be cut short or damaged", path,
              zip_error_strerror(&error));
    zip_source_free(source);
    zip_error_fini(&error);
    kpar_free(a);
    return KPAR_EFORMAT;
}

void kpar_archive_close(kpar_archive *archive)
{
    if (!archive) return;
    zip_discard(archive->zip);
    if (archive->temporary >= 0) close(archive->temporary);
    kpar_free(archive);
}

bool kpar_archive_has(kpar_archive *archive, const char *entry)
{
    return zip_name_locate(archive->zip, entry, 0) >= 0;
}

/* Deflate cannot shrink by more than 1032; what shrinks by more than 100 is no weights once it is large. */
static bool can_hold(const zip_stat_t *entry, uint64_t archive_bytes)
{
    static const uint64_t most = 1032, plausible = 100, small = 1 << 28;
    if (entry->comp_size > archive_bytes) return false;
    if (entry->comp_method == ZIP_CM_STORE) return entry->size == entry->comp_size;
    uint64_t factor = entry->size > small ? plausible : most;
    return entry->size / factor <= entry->comp_size;
}

static kpar_status find(kpar_archive *archive, const char *entry, zip_stat_t *stat)
{
    if (zip_stat(archive->zip, entry, 0, stat) != 0)
        return kpar_fail(KPAR_EFORMAT, "%s: has no %s; it is no .keras archive of a model", archive->path,
                         entry);
    const zip_uint64_t needed = ZIP_STAT_SIZE | ZIP_STAT_COMP_SIZE | ZIP_STAT_COMP_METHOD;
    if ((stat->valid & needed) != needed)
        return kpar_fail(KPAR_EFORMAT, "%s: %s has no size", archive->path, entry);
    if (!can_hold(stat, archive->file.size))
        return kpar_fail(KPAR_EFORMAT,
                         "%s: %s declares %" PRIu64 " bytes but only %" PRIu64
                         " are stored; it is not unpacked",
                         archive->path, entry, stat->size, stat->comp_size);
    return KPAR_OK;
}

/* Takes each block of an entry; false and errno: it could not. */
typedef bool (*block_taker)(void *context, const void *bytes, size_t n, uint64_t offset);

static kpar_status unpack_failed(const kpar_archive *archive, const char *entry, const char *why)
{
    return kpar_fail(KPAR_EFORMAT, "%s: %s is damaged: %s", archive->path, entry, why);
}

/* Reads an entry to its end, where libzip compares the checksum. */
static kpar_status stream(kpar_archive *archive, const char *entry, zip_file_t *opened, block_taker take,
                          void *context)
{
    void *block = kpar_alloc(BLOCK_BYTES);
    uint64_t offset = 0;
    kpar_status status = KPAR_OK;
    for (zip_int64_t n = 1; status == KPAR_OK && n != 0;) {
        n = zip_fread(opened, block, BLOCK_BYTES);
        if (n < 0)
            status = unpack_failed(archive, entry, zip_file_strerror(opened));
        else if (n > 0 && !take(context, block, (size_t)n, offset))
            status = kpar_fail(KPAR_EIO, "%s: cannot unpack %s: %s", archive->path, entry, strerror(errno));
        if (n > 0) offset += (uint64_t)n;
    }
    kpar_free(block);
    return status;
}

static kpar_status unpack(kpar_archive *archive, const char *entry, block_taker take, void *context)
{
    zip_file_t *opened = zip_fopen(archive->zip, entry, 0);
    if (!opened) return unpack_failed(archive, entry, zip_strerror(archive->zip));
    kpar_status status = stream(archive, entry, opened, take, context);
    zip_fclose(opened);
    return status;
}

typedef struct target {
    char *bytes;
    uint64_t size;
} target;

static bool take_into_memory(void *context, const void *bytes, size_t n, uint64_t offset)
{
    const target *to = context;
    errno = EFBIG;
    if (offset + n > to->size) return false;
    memcpy(to->bytes + offset, bytes, n);
    return true;
}

static bool take_into_file(void *context, const void *bytes, size_t n, uint64_t offset)
{
    return kpar_io_write(*(const int *)context, bytes, n, offset);
}

static bool take_nothing(void *context, const void *bytes, size_t n, uint64_t offset)
{
    (void)context, (void)bytes, (void)n, (void)offset;
    return true;
}

kpar_status kpar_archive_verify(kpar_archive *archive, const char *entry)
{
    zip_stat_t stat;
    KPAR_TRY(find(archive, entry, &stat));
    return unpack(archive, entry, take_nothing, NULL);
}

kpar_status kpar_archive_read(kpar_archive *archive, const char *entry, char **text, size_t *length)
{
    zip_stat_t stat;
    void *bytes;
    KPAR_TRY(find(archive, entry, &stat));
    KPAR_TRY(kpar_try_alloc((size_t)stat.size + 1, entry, &bytes));
    kpar_status status = unpack(archive, entry, take_into_memory, &(target){bytes, stat.size});
    if (status != KPAR_OK) {
        kpar_free_aligned(bytes);
        return status;
    }
    *text = bytes;
    *length = (size_t)stat.size;
    return KPAR_OK;
}

/* libzip does not say where a stored entry lies, but where it reads the first byte of it. */
static kpar_status locate_stored(kpar_archive *archive, const char *entry, uint64_t *offset)
{
    char first;
    zip_file_t *opened = zip_fopen(archive->zip, entry, 0);
    if (!opened) return unpack_failed(archive, entry, zip_strerror(archive->zip));
    zip_int64_t n = zip_fread(opened, &first, 1);
    *offset = archive->file.read_at;
    kpar_status status =
        n == 1 ? KPAR_OK : unpack_failed(archive, entry, n ? zip_file_strerror(opened) : "it is empty");
    zip_fclose(opened);
    return status;
}

static kpar_status unpack_to_file(kpar_archive *archive, const char *entry)
{
    if (archive->temporary >= 0) return KPAR_OK;
    int fd = kpar_io_unnamed(NULL);
    if (fd < 0)
        return kpar_fail(KPAR_EIO, "%s: no temporary file for %s, which is compressed: %s; set TMPDIR",
                         archive->path, entry, strerror(errno));
    kpar_status status = unpack(archive, entry, take_into_file, &fd);
    if (status == KPAR_OK)
        archive->temporary = fd;
    else
        close(fd);
    return status;
}

kpar_status kpar_archive_window(kpar_archive *archive, const char *entry, kpar_window *window)
{
    zip_stat_t stat;
    KPAR_TRY(find(archive, entry, &stat));
    *window = (kpar_window){archive->file.fd, 0, stat.size};
    if (stat.comp_method != ZIP_CM_STORE) {
        KPAR_TRY(unpack_to_file(archive, entry));
        window->fd = archive->temporary;
        return KPAR_OK;
    }
    KPAR_TRY(locate_stored(archive, entry, &window->offset));
    if (window->offset > archive->file.size || stat.size > archive->file.size - window->offset)
        return unpack_failed(archive, entry, "it reaches beyond the end of the file");
    return KPAR_OK;
}
