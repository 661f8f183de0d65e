/* The driver: HDF5's address 0 is the window's offset. */
#include "keras/offset_driver.h"

#include "keras/io.h"

#include "base/memory.h"

#include <errno.h>
#include <string.h>
#if H5_VERSION_GE(1, 13, 0)
#include <H5FDdevelop.h>
#endif

/* What an access property list carries to the driver. */
typedef struct settings {
    kpar_window window;
    int *error; /* NULL: read only */
} settings;

typedef struct driver_file {
    H5FD_t base; /* HDF5's part comes first */
    settings to;
    haddr_t end; /* of what HDF5 has allocated */
} driver_file;

static H5FD_t *open_file(const char *name, unsigned flags, hid_t access, haddr_t max)
{
    (void)name, (void)flags, (void)max;
    const settings *to = H5Pget_driver_info(access);
    if (!to) return NULL;
    driver_file *f = kpar_alloc_zeroed(1, sizeof *f);
    f->to = *to;
    return &f->base;
}

static herr_t close_file(H5FD_t *base)
{
    kpar_free(base);
    return 0;
}

static herr_t query(const H5FD_t *base, unsigned long *flags)
{
    (void)base;
    *flags = H5FD_FEAT_AGGREGATE_METADATA | H5FD_FEAT_ACCUMULATE_METADATA | H5FD_FEAT_DATA_SIEVE |
             H5FD_FEAT_AGGREGATE_SMALLDATA;
    return 0;
}

static haddr_t get_allocated(const H5FD_t *base, H5FD_mem_t type)
{
    (void)type;
    return ((const driver_file *)base)->end;
}

static herr_t set_allocated(H5FD_t *base, H5FD_mem_t type, haddr_t address)
{
    (void)type;
    ((driver_file *)base)->end = address;
    return 0;
}

static haddr_t get_size(const H5FD_t *base, H5FD_mem_t type)
{
    (void)type;
    return ((const driver_file *)base)->to.window.size;
}

static herr_t read_bytes(H5FD_t *base, H5FD_mem_t type, hid_t transfer, haddr_t address, size_t size,
                         void *buffer)
{
    (void)type, (void)transfer;
    const kpar_window *window = &((const driver_file *)base)->to.window;
    if (address > window->size || size > window->size - address) return -1;
    return kpar_io_read(window->fd, buffer, size, window->offset + address) ? 0 : -1;
}

static herr_t write_bytes(H5FD_t *base, H5FD_mem_t type, hid_t transfer, haddr_t address, size_t size,
                          const void *buffer)
{
    (void)type, (void)transfer;
    settings *to = &((driver_file *)base)->to;
    if (!to->error) return -1;
    if (!*to->error && !kpar_io_write(to->window.fd, buffer, size, to->window.offset + address))
        *to->error = errno;
    if (to->window.size < address + size) to->window.size = address + size;
    return 0;
}

/* HDF5 may have allocated more than it wrote. */
static herr_t truncate_file(H5FD_t *base, hid_t transfer, hbool_t closing)
{
    (void)transfer, (void)closing;
    driver_file *f = (driver_file *)base;
    if (!f->to.error || f->end == f->to.window.size) return 0;
    if (!*f->to.error && !kpar_io_resize(f->to.window.fd, f->end)) *f->to.error = errno;
    f->to.window.size = f->end;
    return 0;
}

static const H5FD_class_t driver = {
#if H5_VERSION_GE(1, 13, 0)
    .version = H5FD_CLASS_VERSION,
    .value = (H5FD_class_value_t)600, /* from the range for drivers outside the library */
#endif
    .name = "kpar_window",
    .maxaddr = (haddr_t)INT64_MAX,
    .fc_degree = H5F_CLOSE_STRONG,
    .fapl_size = sizeof(settings),
    .open = open_file,
    .close = close_file,
    .query = query,
    .get_eoa = get_allocated,
    .set_eoa = set_allocated,
    .get_eof = get_size,
    .read = read_bytes,
    .write = write_bytes,
    .truncate = truncate_file,
    .fl_map = H5FD_FLMAP_DICHOTOMY,
};

static bool open_through(const settings *to, bool create, kpar_window_file *file)
{
    hid_t access = H5Pcreate(H5P_FILE_ACCESS);
    *file = (kpar_window_file){-1, H5FDregister(&driver)};
    bool ready = access >= 0 && file->driver >= 0 && H5Pset_driver(access, file->driver, to) >= 0 &&
                 H5Pset_fclose_degree(access, H5F_CLOSE_STRONG) >= 0;
    if (ready && create) file->id = H5Fcreate("weights", H5F_ACC_TRUNC, H5P_DEFAULT, access);
    if (ready && !create) file->id = H5Fopen("weights", H5F_ACC_RDONLY, access);
    if (access >= 0) H5Pclose(access);
    return file->id >= 0;
}

bool kpar_window_open(const kpar_window *window, kpar_window_file *file)
{
    return open_through(&(settings){*window, NULL}, false, file);
}

bool kpar_window_create(int fd, int *error, kpar_window_file *file)
{
    *error = 0;
    return open_through(&(settings){{fd, 0, 0}, error}, true, file);
}

bool kpar_window_close(kpar_window_file *file)
{
    bool closed = file->id < 0 || H5Fclose(file->id) >= 0;
    if (file->driver >= 0) H5FDunregister(file->driver);
    *file = (kpar_window_file){-1, -1};
    return closed;
}
