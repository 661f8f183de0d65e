/* Datasets in HDF5 files. */
#include "keras/store.h"

#include "base/memory.h"

#include <stdio.h>
#include <string.h>

void kpar_store_quiet(void) { H5Eset_auto2(H5E_DEFAULT, NULL, NULL); }

static herr_t keep_description(unsigned n, const H5E_error2_t *error, void *text)
{
    (void)n;
    if (error->desc && *error->desc) snprintf(text, 128, "%s", error->desc);
    return 0;
}

kpar_status kpar_store_fail(kpar_status status, const char *file, const char *what)
{
    char innermost[128] = "no reason given";
    H5Ewalk2(H5E_DEFAULT, H5E_WALK_DOWNWARD, keep_description, innermost);
    return kpar_fail(status, "%s: %s: %s", file, what, innermost);
}

/* Not every type of kpar_dtype has a counterpart in HDF5, and weights have few. */
hid_t kpar_store_type(kpar_dtype dtype)
{
    switch (dtype) {
    case KPAR_F32:
        return H5T_NATIVE_FLOAT;
    case KPAR_F64:
        return H5T_NATIVE_DOUBLE;
    case KPAR_I8:
        return H5T_NATIVE_INT8;
    case KPAR_I16:
        return H5T_NATIVE_INT16;
    case KPAR_I32:
        return H5T_NATIVE_INT32;
    case KPAR_I64:
        return H5T_NATIVE_INT64;
    case KPAR_U8:
        return H5T_NATIVE_UINT8;
    case KPAR_U16:
        return H5T_NATIVE_UINT16;
    case KPAR_U32:
        return H5T_NATIVE_UINT32;
    case KPAR_U64:
        return H5T_NATIVE_UINT64;
    default:
        return -1;
    }
}

/* A small file must not make us wait for or hold gigabytes that it only declares. */
static kpar_status check_storage(const kpar_stored *d, hid_t creation)
{
    static const size_t plausible = 1000, small = 1 << 20;
    size_t bytes = d->element_bytes, chunk = d->element_bytes;
    for (int i = 0; i < d->rank; i++)
        if (!kpar_multiply(bytes, (size_t)d->dims[i], &bytes))
            return kpar_fail(KPAR_EFORMAT, "%s: %s is too large", d->file, d->path);
    if (H5Pget_layout(creation) == H5D_VIRTUAL ||
        (H5Pget_layout(creation) == H5D_CONTIGUOUS && H5Pget_external_count(creation) > 0))
        return kpar_fail(KPAR_EFORMAT, "%s: %s keeps its data in other files, which are not read", d->file,
                         d->path);
    hsize_t sizes[KPAR_MAX_RANK];
    if (H5Pget_layout(creation) == H5D_CHUNKED) {
        int rank = H5Pget_chunk(creation, KPAR_MAX_RANK, sizes);
        for (int i = 0; i < rank; i++)
            if (!kpar_multiply(chunk, (size_t)sizes[i], &chunk)) chunk = SIZE_MAX;
    }
    size_t stored = (size_t)H5Dget_storage_size(d->id);
    if ((bytes > small && bytes / plausible > stored) || (chunk > small && chunk > bytes))
        return kpar_fail(KPAR_EFORMAT, "%s: %s declares %zu bytes but %zu are stored; it is not read",
                         d->file, d->path, bytes, stored);
    return KPAR_OK;
}

static kpar_status read_shape(kpar_stored *d)
{
    hsize_t sizes[H5S_MAX_RANK];
    hid_t space = H5Dget_space(d->id);
    int rank = space < 0 ? -1 : H5Sget_simple_extent_ndims(space);
    if (rank >= 0 && rank <= KPAR_MAX_RANK) H5Sget_simple_extent_dims(space, sizes, NULL);
    bool null = space >= 0 && H5Sget_simple_extent_type(space) == H5S_NULL;
    if (space >= 0) H5Sclose(space);
    if (rank < 0 || null) return kpar_store_fail(KPAR_EFORMAT, d->file, d->path);
    if (rank > KPAR_MAX_RANK)
        return kpar_fail(KPAR_EUNSUPPORTED, "%s: %s has %d dimensions, at most %d are supported", d->file,
                         d->path, rank, KPAR_MAX_RANK);
    d->rank = rank;
    for (int i = 0; i < rank; i++) d->dims[i] = (int64_t)sizes[i];
    return KPAR_OK;
}

static kpar_status examine(kpar_stored *d)
{
    KPAR_TRY(read_shape(d));
    hid_t type = H5Dget_type(d->id), creation = H5Dget_create_plist(d->id);
    kpar_status status = KPAR_OK;
    if (type < 0 || creation < 0)
        status = kpar_store_fail(KPAR_EFORMAT, d->file, d->path);
    else {
        d->kind = H5Tget_class(type);
        d->element_bytes = H5Tget_size(type);
        if (d->kind != H5T_FLOAT && d->kind != H5T_INTEGER)
            status = kpar_fail(KPAR_EUNSUPPORTED,
                               "%s: %s: expected floating-point or whole numbers, found another type",
                               d->file, d->path);
        else
            status = check_storage(d, creation);
    }
    if (type >= 0) H5Tclose(type);
    if (creation >= 0) H5Pclose(creation);
    return status;
}

kpar_status kpar_stored_open(hid_t store, const char *file, const char *path, kpar_stored *dataset)
{
    *dataset = (kpar_stored){.id = H5Dopen2(store, path, H5P_DEFAULT), .file = file, .path = path};
    if (dataset->id < 0) return kpar_store_fail(KPAR_EFORMAT, file, path);
    kpar_status status = examine(dataset);
    if (status != KPAR_OK) kpar_stored_close(dataset);
    return status;
}

void kpar_stored_close(kpar_stored *dataset)
{
    if (dataset->id >= 0) H5Dclose(dataset->id);
    dataset->id = -1;
}

/* HDF5's names for a slice: of the file's array, and of dense memory. Scalars have neither. */
typedef struct spaces {
    hid_t file, memory;
} spaces;

static bool make_spaces(const kpar_stored *dataset, const kpar_slice *slice, spaces *s)
{
    hsize_t start[KPAR_MAX_RANK], size[KPAR_MAX_RANK];
    *s = (spaces){H5S_ALL, H5S_ALL};
    if (dataset->rank == 0) return true;
    for (int d = 0; d < dataset->rank; d++) {
        start[d] = (hsize_t)slice->start[d];
        size[d] = (hsize_t)slice->size[d];
    }
    s->file = H5Dget_space(dataset->id);
    s->memory = H5Screate_simple(dataset->rank, size, NULL);
    return s->file >= 0 && s->memory >= 0 &&
           H5Sselect_hyperslab(s->file, H5S_SELECT_SET, start, NULL, size, NULL) >= 0;
}

static void close_spaces(spaces *s)
{
    if (s->file > 0) H5Sclose(s->file);
    if (s->memory > 0) H5Sclose(s->memory);
}

kpar_status kpar_stored_read(const kpar_stored *dataset, const kpar_slice *slice, hid_t type, void *values)
{
    spaces s;
    if (kpar_count(slice->rank, slice->size) == 0) return KPAR_OK;
    bool read = make_spaces(dataset, slice, &s) &&
                H5Dread(dataset->id, type, s.memory, s.file, H5P_DEFAULT, values) >= 0;
    kpar_status status = read ? KPAR_OK : kpar_store_fail(KPAR_EFORMAT, dataset->file, dataset->path);
    close_spaces(&s);
    return status;
}

kpar_status kpar_stored_write(const kpar_stored *dataset, const kpar_slice *slice, hid_t type,
                              const void *values)
{
    spaces s;
    bool written = make_spaces(dataset, slice, &s) &&
                   H5Dwrite(dataset->id, type, s.memory, s.file, H5P_DEFAULT, values) >= 0;
    kpar_status status = written ? KPAR_OK : kpar_store_fail(KPAR_EIO, dataset->file, dataset->path);
    close_spaces(&s);
    return status;
}

/* HDF5 wants every group on the way asked for, one after the other. */
bool kpar_store_has(hid_t store, const char *path)
{
    char part[512];
    for (const char *end = path; *end;) {
        end += strcspn(end, "/");
        int length = snprintf(part, sizeof part, "%.*s", (int)(end - path), path);
        if (length < 0 || (size_t)length >= sizeof part || H5Lexists(store, part, H5P_DEFAULT) <= 0)
            return false;
        if (*end) end++;
    }
    return true;
}

typedef struct listing {
    kpar_text *paths;
    char outside[256]; /* a link that leads out of the file */
} listing;

static herr_t list_link(hid_t store, const char *path, const H5L_info_t *link, void *context)
{
    listing *l = context;
    if (link->type != H5L_TYPE_HARD) {
        snprintf(l->outside, sizeof l->outside, "%s", path);
        return 1;
    }
    hid_t object = H5Oopen(store, path, H5P_DEFAULT);
    if (object < 0) return -1;
    if (H5Iget_type(object) == H5I_DATASET) kpar_text_printf(l->paths, "%s\n", path);
    H5Oclose(object);
    return 0;
}

kpar_status kpar_store_list(hid_t store, const char *file, kpar_text *paths)
{
    listing l = {.paths = paths};
    herr_t visited = H5Lvisit(store, H5_INDEX_NAME, H5_ITER_INC, list_link, &l);
    if (visited > 0)
        return kpar_fail(KPAR_EFORMAT, "%s: %s is a link to elsewhere, which is not followed", file,
                         l.outside);
    return visited == 0 ? KPAR_OK : kpar_store_fail(KPAR_EFORMAT, file, "its groups cannot be read");
}

char *kpar_next_line(char **cursor)
{
    char *line = *cursor, *end = line ? strchr(line, '\n') : NULL;
    if (!end) return NULL;
    *end = '\0';
    *cursor = end + 1;
    return line;
}
