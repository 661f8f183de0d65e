/* model.weights.h5: a group `vars` with the layer's name for every layer, also without variables, and a
 * contiguous little-endian dataset for every variable. */
#include "keras/writer.h"

#include "keras/slices.h"
#include "keras/store.h"

#include "base/memory.h"

#include <string.h>

typedef struct writer {
    const char *path;
    kpar_window_file h5;
    hid_t links; /* properties that make the groups on the way */
    int error;   /* errno of a failed write, see kpar_window_create */
    const kpar_catalog *catalog;
    bool with_optimizer;
    kpar_fetch fetch;
    void *context;
    char *values; /* KPAR_SAVE_SLICE_BYTES */
} writer;

static kpar_status write_failed(const writer *w)
{
    return kpar_fail(KPAR_EIO, "%s: cannot be written: %s", w->path, strerror(w->error));
}

/* A string as h5py writes one: scalar, of variable length, UTF-8. */
static bool write_name(hid_t group, const char *name)
{
    hid_t type = H5Tcopy(H5T_C_S1), space = H5Screate(H5S_SCALAR), attribute = -1;
    bool made = H5Tset_size(type, H5T_VARIABLE) >= 0 && H5Tset_cset(type, H5T_CSET_UTF8) >= 0;
    if (made) attribute = H5Acreate2(group, "name", type, space, H5P_DEFAULT, H5P_DEFAULT);
    bool written = attribute >= 0 && H5Awrite(attribute, type, &name) >= 0;
    if (attribute >= 0) H5Aclose(attribute);
    H5Sclose(space);
    H5Tclose(type);
    return written;
}

static kpar_status write_group(const writer *w, const kpar_variable_group *group, kpar_text *path)
{
    path->length = 0;
    kpar_text_printf(path, "%s%svars", group->path, *group->path ? "/" : "");
    hid_t made = H5Gcreate2(w->h5.id, kpar_text_get(path), w->links, H5P_DEFAULT, H5P_DEFAULT);
    bool written = made >= 0 && write_name(made, group->name);
    kpar_status status = written ? KPAR_OK : kpar_store_fail(KPAR_EIO, w->path, kpar_text_get(path));
    if (made >= 0) H5Gclose(made);
    return status;
}

static bool is_optimizers(const char *path)
{
    return strncmp(path, "optimizer", 9) == 0 && (path[9] == '/' || path[9] == '\0');
}

static kpar_status write_groups(const writer *w)
{
    kpar_text path = {0};
    kpar_status status = KPAR_OK;
    for (int i = 0; status == KPAR_OK && i < w->catalog->n_groups; i++)
        if (w->with_optimizer || !is_optimizers(w->catalog->groups[i].path))
            status = write_group(w, &w->catalog->groups[i], &path);
    kpar_text_clear(&path);
    return status;
}

static hid_t little_endian(kpar_dtype dtype)
{
    switch (dtype) {
    case KPAR_F32:
        return H5T_IEEE_F32LE;
    case KPAR_F64:
        return H5T_IEEE_F64LE;
    case KPAR_I32:
        return H5T_STD_I32LE;
    case KPAR_I64:
        return H5T_STD_I64LE;
    default:
        return -1;
    }
}

static hid_t create_dataset(const writer *w, const kpar_variable *variable, const char *path, hid_t type)
{
    hsize_t sizes[KPAR_MAX_RANK];
    for (int d = 0; d < variable->rank; d++) sizes[d] = (hsize_t)variable->dims[d];
    hid_t space = variable->rank ? H5Screate_simple(variable->rank, sizes, NULL) : H5Screate(H5S_SCALAR);
    hid_t creation = H5Pcreate(H5P_DATASET_CREATE);
    H5Pset_fill_time(creation, H5D_FILL_TIME_NEVER);
    H5Pset_obj_track_times(creation, false);
    hid_t made = H5Dcreate2(w->h5.id, path, type, space, w->links, creation, H5P_DEFAULT);
    H5Pclose(creation);
    H5Sclose(space);
    return made;
}

/* Into all of n datasets. */
static kpar_status write_slices(const writer *w, int index, const kpar_stored *datasets, int n)
{
    const kpar_variable *variable = &w->catalog->variables[index];
    kpar_slice slice = {0};
    bool started = false;
    size_t bytes = kpar_dtype_bytes(variable->dtype);
    while (kpar_slice_next(variable->rank, variable->dims, bytes, KPAR_SAVE_SLICE_BYTES, &slice, &started)) {
        KPAR_TRY(w->fetch(w->context, index, &slice, w->values));
        for (int i = 0; i < n; i++)
            KPAR_TRY(kpar_stored_write(&datasets[i], &slice, kpar_store_type(variable->dtype), w->values));
        if (w->error) return write_failed(w);
    }
    return KPAR_OK;
}

static kpar_status write_variable(const writer *w, int index)
{
    const kpar_variable *variable = &w->catalog->variables[index];
    hid_t type = little_endian(variable->dtype);
    if (type < 0)
        return kpar_fail(KPAR_EUNSUPPORTED, "%s: %s: values of type %s are not written", w->path,
                         variable->path, kpar_dtype_name(variable->dtype));
    const char *paths[2] = {variable->path, variable->alias};
    kpar_stored datasets[2];
    kpar_status status = KPAR_OK;
    int n = 0;
    for (; status == KPAR_OK && n < 2 && paths[n]; n++) {
        datasets[n] = (kpar_stored){.id = create_dataset(w, variable, paths[n], type),
                                    .file = w->path,
                                    .path = paths[n],
                                    .rank = variable->rank};
        if (datasets[n].id < 0) status = kpar_store_fail(KPAR_EIO, w->path, paths[n]);
    }
    if (status == KPAR_OK) status = write_slices(w, index, datasets, n);
    for (int i = 0; i < n; i++)
        if (datasets[i].id >= 0) kpar_stored_close(&datasets[i]);
    return status;
}

static kpar_status write_all(const writer *w)
{
    KPAR_TRY(write_groups(w));
    for (int i = 0; i < w->catalog->n; i++)
        if (w->catalog->variables[i].kind != KPAR_VARIABLE_CONSTANT &&
            (w->with_optimizer || !is_optimizers(w->catalog->variables[i].path)))
            KPAR_TRY(write_variable(w, i));
    return KPAR_OK;
}

/* Writes and closes; closing writes what HDF5 has kept back. */
static kpar_status fill(writer *w, int fd)
{
    kpar_status status = KPAR_OK;
    if (!kpar_window_create(fd, &w->error, &w->h5))
        status = kpar_store_fail(KPAR_EIO, w->path, "no weights file can be made");
    if (status == KPAR_OK) status = write_all(w);
    if (!kpar_window_close(&w->h5) && status == KPAR_OK)
        status = kpar_store_fail(KPAR_EIO, w->path, "weights cannot be closed");
    return status == KPAR_OK && w->error ? write_failed(w) : status;
}

kpar_status kpar_write_weights(const char *path, int fd, const kpar_catalog *catalog, bool with_optimizer,
                               kpar_fetch fetch, void *context)
{
    writer w = {.path = path,
                .catalog = catalog,
                .with_optimizer = with_optimizer,
                .fetch = fetch,
                .context = context};
    kpar_store_quiet();
    w.values = kpar_alloc(KPAR_SAVE_SLICE_BYTES);
    w.links = H5Pcreate(H5P_LINK_CREATE);
    H5Pset_create_intermediate_group(w.links, 1);
    kpar_status status = fill(&w, fd);
    H5Pclose(w.links);
    kpar_free(w.values);
    return status;
}
