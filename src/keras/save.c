/* Saving a .keras archive: weights into a file without a name, all three entries into a new file beside the
 * target, which then takes the target's name. Whatever fails, the target stays what it was. */
#include "keras/archive.h"
#include "keras/io.h"
#include "keras/writer.h"
#include "keras/zip_source.h"

#include "base/log.h"
#include "base/memory.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

/* The version of Keras whose format this is. */
#define KERAS_VERSION "3.15.1"

static kpar_status save_failed(const char *path)
{
    return kpar_fail(KPAR_EIO, "%s: cannot be written: %s", path, strerror(errno));
}

/* Now by the local clock, or the second since 1970 that SOURCE_DATE_EPOCH names, so that builds can be
 * repeated. */
static void metadata_text(char *text, size_t capacity)
{
    const char *fixed = getenv("SOURCE_DATE_EPOCH");
    time_t when = fixed ? (time_t)strtoll(fixed, NULL, 10) : time(NULL);
    struct tm parts = {0};
    char date[32];
    if (fixed)
        gmtime_r(&when, &parts);
    else
        localtime_r(&when, &parts);
    strftime(date, sizeof date, "%Y-%m-%d@%H:%M:%S", &parts);
    snprintf(text, capacity, "{\"keras_version\": \"" KERAS_VERSION "\", \"date_saved\": \"%s\"}", date);
}

/* Stored, not deflated, dated 1 January 1980 as Python's zipfile does for entries without a date. */
static bool add_entry(zip_t *zip, const char *name, zip_source_t *source)
{
    static const zip_uint16_t first_day = 1 << 5 | 1;
    zip_int64_t index = source ? zip_file_add(zip, name, source, 0) : -1;
    if (index < 0) zip_source_free(source);
    return index >= 0 && zip_set_file_compression(zip, (zip_uint64_t)index, ZIP_CM_STORE, 0) == 0 &&
           zip_file_set_dostime(zip, (zip_uint64_t)index, 0, first_day, 0) == 0;
}

typedef struct contents {
    const char *config;
    size_t config_length;
    int weights; /* HDF5 file */
} contents;

static bool add_entries(zip_t *zip, const char *metadata, const contents *what, kpar_zip_file *weights)
{
    zip_error_t error;
    zip_error_init(&error);
    bool added =
        add_entry(zip, KPAR_ENTRY_METADATA, zip_source_buffer(zip, metadata, strlen(metadata), 0)) &&
        add_entry(zip, KPAR_ENTRY_CONFIG, zip_source_buffer(zip, what->config, what->config_length, 0)) &&
        add_entry(zip, KPAR_ENTRY_WEIGHTS, kpar_zip_source(weights, &error));
    zip_error_fini(&error);
    return added;
}

static kpar_status write_archive(const char *path, int fd, const contents *what)
{
    char metadata[128];
    struct stat facts;
    zip_error_t error;
    zip_error_init(&error);
    if (fstat(what->weights, &facts) != 0) return save_failed(path);
    kpar_zip_file target = {.fd = fd, .writable = true};
    kpar_zip_file weights = {.fd = what->weights, .size = (uint64_t)facts.st_size};
    metadata_text(metadata, sizeof metadata);
    zip_source_t *source = kpar_zip_source(&target, &error);
    zip_t *zip = source ? zip_open_from_source(source, ZIP_CREATE | ZIP_TRUNCATE, &error) : NULL;
    if (!zip) {
        zip_source_free(source);
        return kpar_fail(KPAR_EIO, "%s: cannot be written: %s", path, zip_error_strerror(&error));
    }
    if (add_entries(zip, metadata, what, &weights) && zip_close(zip) == 0) return KPAR_OK;
    kpar_fail(KPAR_EIO, "%s: cannot be written: %s", path, zip_strerror(zip));
    zip_discard(zip);
    return KPAR_EIO;
}

/* Fills the new file `fd` of name `temporary` and gives it the target's name. */
static kpar_status replace(const char *path, const char *temporary, int fd, const contents *what)
{
    KPAR_TRY(write_archive(path, fd, what));
    if (!kpar_io_sync(fd) || !kpar_io_rename(temporary, path)) return save_failed(path);
    if (!kpar_io_sync_folder(path))
        kpar_log("%s: is written, but may be lost if the machine stops now: %s", path, strerror(errno));
    return KPAR_OK;
}

static kpar_status save_contents(const char *path, const contents *what)
{
    char temporary[PATH_MAX];
    int fd = kpar_io_beside(path, temporary, sizeof temporary);
    if (fd < 0) return save_failed(path);
    kpar_status status = replace(path, temporary, fd, what);
    close(fd);
    if (status != KPAR_OK) unlink(temporary);
    return status;
}

static kpar_status save_at(const char *path, const char *config, size_t length, const kpar_catalog *catalog,
                           bool with_optimizer, kpar_fetch fetch, void *context)
{
    int weights = kpar_io_unnamed(path);
    if (weights < 0) return save_failed(path);
    kpar_status status = kpar_write_weights(path, weights, catalog, with_optimizer, fetch, context);
    if (status == KPAR_OK) status = save_contents(path, &(contents){config, length, weights});
    close(weights);
    return status;
}

kpar_status kpar_keras_save(const char *path, const char *config, size_t length, const kpar_catalog *catalog,
                            bool with_optimizer, kpar_fetch fetch, void *context)
{
    char *behind = realpath(path, NULL); /* a link keeps pointing at the file */
    kpar_status status =
        save_at(behind ? behind : path, config, length, catalog, with_optimizer, fetch, context);
    free(behind);
    return status;
}

kpar_status kpar_keras_can_save(const char *path)
{
    static const char ending[] = ".keras";
    char folder[PATH_MAX];
    struct stat facts;
    size_t length = strlen(path), tail = sizeof ending - 1;
    if (length <= tail || strcmp(path + length - tail, ending) != 0)
        return kpar_fail(KPAR_EUSAGE, "%s: expected a name that ends in .keras; Keras loads no other", path);
    if (stat(path, &facts) == 0 && !S_ISREG(facts.st_mode))
        return kpar_fail(KPAR_EIO, "%s: is no regular file and cannot be replaced", path);
    kpar_io_folder(path, folder, sizeof folder);
    if (stat(folder, &facts) != 0)
        return kpar_fail(KPAR_EIO, "%s: folder %s: %s; make it first", path, folder, strerror(errno));
    if (!S_ISDIR(facts.st_mode)) return kpar_fail(KPAR_EIO, "%s: %s is no folder", path, folder);
    if (access(folder, W_OK | X_OK) != 0)
        return kpar_fail(KPAR_EIO, "%s: folder %s cannot be written to: %s", path, folder, strerror(errno));
    return KPAR_OK;
}
