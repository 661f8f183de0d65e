/* Bytes of an archive's members: in place where stored, through libzip where deflated. */
#include "data/npz_internal.h"

#include "base/memory.h"

#include <string.h>
#include <unistd.h>

enum { FLAG_ENCRYPTED = 1 };

static kpar_status check_supported(const kpar_npz *archive, const kpar_member *member)
{
    if (member->flags & FLAG_ENCRYPTED)
        return kpar_fail(KPAR_EUNSUPPORTED, "%s: member '%s' is encrypted; save it without a password",
                         archive->path, member->name);
    if (member->method != KPAR_ZIP_STORED && member->method != KPAR_ZIP_DEFLATED)
        return kpar_fail(KPAR_EUNSUPPORTED,
                         "%s: member '%s' is packed by method %u, supported are stored (numpy.savez) and "
                         "deflated (numpy.savez_compressed)",
                         archive->path, member->name, member->method);
    return KPAR_OK;
}

/* libzip over the mapped bytes, opened once. */
static kpar_status open_zip(kpar_npz *archive)
{
    if (archive->zip) return KPAR_OK;
    zip_error_t error;
    zip_error_init(&error);
    zip_source_t *source = zip_source_buffer_create(archive->map.bytes, archive->map.length, 0, &error);
    if (source) archive->zip = zip_open_from_source(source, ZIP_RDONLY, &error);
    kpar_status status = KPAR_OK;
    if (!archive->zip) {
        zip_source_free(source);
        status = kpar_fail(KPAR_EFORMAT, "%s: %s", archive->path, zip_error_strerror(&error));
    }
    zip_error_fini(&error);
    return status;
}

static kpar_status read_all(kpar_npz *archive, const kpar_member *member, zip_file_t *file,
                            unsigned char *bytes, size_t length)
{
    size_t done = 0;
    while (done < length) {
        zip_int64_t got = zip_fread(file, bytes + done, length - done);
        if (got <= 0)
            return kpar_fail(KPAR_EFORMAT, "%s: member '%s' ends after %zu of %zu bytes: %s", archive->path,
                             member->name, done, length,
                             got < 0 ? zip_file_strerror(file) : "it is shorter than declared");
        done += (size_t)got;
    }
    return KPAR_OK;
}

/* Reading on at the end makes libzip compare the checksum. */
static kpar_status check_end(kpar_npz *archive, const kpar_member *member, zip_file_t *file)
{
    char extra;
    zip_int64_t got = zip_fread(file, &extra, 1);
    if (got == 0) return KPAR_OK;
    return kpar_fail(KPAR_EFORMAT, "%s: member '%s': %s", archive->path, member->name,
                     got < 0 ? zip_file_strerror(file) : "it holds more bytes than declared");
}

static kpar_status inflate_member(kpar_npz *archive, int index, unsigned char *bytes, size_t length)
{
    const kpar_member *member = &archive->members[index];
    KPAR_TRY(open_zip(archive));
    zip_file_t *file = zip_fopen_index(archive->zip, (zip_uint64_t)index, 0);
    if (!file)
        return kpar_fail(KPAR_EFORMAT, "%s: member '%s': %s", archive->path, member->name,
                         zip_strerror(archive->zip));
    kpar_status status = read_all(archive, member, file, bytes, length);
    if (status == KPAR_OK && length == member->size) status = check_end(archive, member, file);
    zip_fclose(file);
    return status;
}

kpar_status kpar_npz_peek(kpar_npz *archive, int index, unsigned char *head, size_t capacity, size_t *length)
{
    const kpar_member *member = &archive->members[index];
    KPAR_TRY(check_supported(archive, member));
    *length = member->size < capacity ? (size_t)member->size : capacity;
    if (member->method == KPAR_ZIP_DEFLATED) return inflate_member(archive, index, head, *length);
    const unsigned char *bytes = NULL;
    KPAR_TRY(kpar_npz_place(archive, member, &bytes));
    if (*length) memcpy(head, bytes, *length);
    return KPAR_OK;
}

static kpar_status check_fits_memory(const kpar_npz *archive, const kpar_member *member)
{
    long pages = sysconf(_SC_PHYS_PAGES), page = sysconf(_SC_PAGESIZE);
    uint64_t memory = pages > 0 && page > 0 ? (uint64_t)pages * (uint64_t)page : UINT64_MAX;
    if (member->size <= memory) return KPAR_OK;
    return kpar_fail(KPAR_ENOMEM,
                     "%s: member '%s' unpacks to %llu bytes, the machine has %llu; save it with numpy.savez, "
                     "which is mapped instead",
                     archive->path, member->name, (unsigned long long)member->size,
                     (unsigned long long)memory);
}

static kpar_status unpack(kpar_npz *archive, int index)
{
    kpar_member *member = &archive->members[index];
    KPAR_TRY(check_fits_memory(archive, member));
    void *bytes = NULL;
    KPAR_TRY(kpar_try_alloc((size_t)member->size, member->name, &bytes));
    kpar_status status = inflate_member(archive, index, bytes, (size_t)member->size);
    if (status == KPAR_OK)
        member->unpacked = bytes;
    else
        kpar_free_aligned(bytes);
    return status;
}

kpar_status kpar_npz_bytes(kpar_npz *archive, int index, const unsigned char **bytes)
{
    kpar_member *member = &archive->members[index];
    KPAR_TRY(check_supported(archive, member));
    if (member->method == KPAR_ZIP_STORED) return kpar_npz_place(archive, member, bytes);
    if (!member->unpacked) KPAR_TRY(unpack(archive, index));
    *bytes = member->unpacked;
    return KPAR_OK;
}
