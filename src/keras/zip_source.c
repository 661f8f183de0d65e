/* A libzip source over a file descriptor. Writing goes straight to the file, which is a temporary one: what
 * is committed or rolled back is decided by renaming it, not here. */
#include "keras/zip_source.h"

#include "keras/io.h"

#include <errno.h>

static zip_int64_t failed(kpar_zip_file *file, int code)
{
    zip_error_set(&file->error, code, errno);
    return -1;
}

static zip_int64_t read_bytes(kpar_zip_file *file, void *data, zip_uint64_t length)
{
    uint64_t left = file->position < file->size ? file->size - file->position : 0;
    uint64_t bytes = length < left ? length : left;
    file->read_at = file->position;
    if (!kpar_io_read(file->fd, data, (size_t)bytes, file->position)) return failed(file, ZIP_ER_READ);
    file->position += bytes;
    return (zip_int64_t)bytes;
}

static zip_int64_t write_bytes(kpar_zip_file *file, const void *data, zip_uint64_t length)
{
    if (!kpar_io_write(file->fd, data, (size_t)length, file->write_position))
        return failed(file, ZIP_ER_WRITE);
    file->write_position += length;
    if (file->size < file->write_position) file->size = file->write_position;
    return (zip_int64_t)length;
}

static zip_int64_t seek(kpar_zip_file *file, uint64_t *position, void *data, zip_uint64_t length)
{
    zip_int64_t to = zip_source_seek_compute_offset(*position, file->size, data, length, &file->error);
    if (to < 0) return -1;
    *position = (uint64_t)to;
    return 0;
}

static zip_int64_t describe(const kpar_zip_file *file, void *data)
{
    zip_stat_t *stat = data;
    zip_stat_init(stat);
    stat->size = file->size;
    stat->valid |= ZIP_STAT_SIZE;
    return sizeof *stat;
}

static zip_int64_t supported(const kpar_zip_file *file)
{
    zip_int64_t reading = zip_source_make_command_bitmap(
        ZIP_SOURCE_OPEN, ZIP_SOURCE_READ, ZIP_SOURCE_CLOSE, ZIP_SOURCE_STAT, ZIP_SOURCE_ERROR,
        ZIP_SOURCE_FREE, ZIP_SOURCE_SEEK, ZIP_SOURCE_TELL, ZIP_SOURCE_SUPPORTS, -1);
    zip_int64_t writing = zip_source_make_command_bitmap(
        ZIP_SOURCE_BEGIN_WRITE, ZIP_SOURCE_COMMIT_WRITE, ZIP_SOURCE_ROLLBACK_WRITE, ZIP_SOURCE_WRITE,
        ZIP_SOURCE_SEEK_WRITE, ZIP_SOURCE_TELL_WRITE, ZIP_SOURCE_REMOVE, -1);
    return file->writable ? reading | writing : reading;
}

static zip_int64_t command(void *user, void *data, zip_uint64_t length, zip_source_cmd_t what)
{
    kpar_zip_file *file = user;
    switch (what) {
    case ZIP_SOURCE_OPEN:
        return (zip_int64_t)(file->position = 0);
    case ZIP_SOURCE_BEGIN_WRITE:
        return (zip_int64_t)(file->write_position = 0);
    case ZIP_SOURCE_READ:
        return read_bytes(file, data, length);
    case ZIP_SOURCE_WRITE:
        return write_bytes(file, data, length);
    case ZIP_SOURCE_SEEK:
        return seek(file, &file->position, data, length);
    case ZIP_SOURCE_SEEK_WRITE:
        return seek(file, &file->write_position, data, length);
    case ZIP_SOURCE_TELL:
        return (zip_int64_t)file->position;
    case ZIP_SOURCE_TELL_WRITE:
        return (zip_int64_t)file->write_position;
    case ZIP_SOURCE_STAT:
        return describe(file, data);
    case ZIP_SOURCE_ERROR:
        return zip_error_to_data(&file->error, data, length);
    case ZIP_SOURCE_SUPPORTS:
        return supported(file);
    case ZIP_SOURCE_CLOSE:
    case ZIP_SOURCE_FREE:
    case ZIP_SOURCE_REMOVE:
    case ZIP_SOURCE_COMMIT_WRITE:
    case ZIP_SOURCE_ROLLBACK_WRITE:
        return 0;
    default:
        zip_error_set(&file->error, ZIP_ER_OPNOTSUPP, 0);
        return -1;
    }
}

zip_source_t *kpar_zip_source(kpar_zip_file *file, zip_error_t *error)
{
    zip_error_init(&file->error);
    return zip_source_function_create(command, file, error);
}
