/* Reading a slice of a variable from whichever pieces have parts of it. */
#include "train/checkpoint_internal.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

kpar_status kpar_piece_file_open(kpar_checkpoint *checkpoint, size_t index, int *descriptor)
{
    kpar_piece_file *file = &checkpoint->files[index];
    if (file->descriptor < 0) {
        kpar_text path = {0};
        kpar_text_printf(&path, "%s/%s", checkpoint->folder, file->name);
        file->descriptor = open(kpar_text_get(&path), O_RDONLY | O_CLOEXEC);
        kpar_text_clear(&path);
        if (file->descriptor < 0)
            return kpar_fail(KPAR_EIO, "%s/%s: %s", checkpoint->folder, file->name, strerror(errno));
    }
    *descriptor = file->descriptor;
    return KPAR_OK;
}

kpar_status kpar_piece_file_read(kpar_checkpoint *checkpoint, size_t index, uint64_t offset, size_t bytes,
                                 void *target)
{
    int descriptor = -1;
    KPAR_TRY(kpar_piece_file_open(checkpoint, index, &descriptor));
    char *next = target;
    while (bytes) {
        ssize_t got = pread(descriptor, next, bytes, (off_t)offset);
        if (got < 0 && errno == EINTR) continue;
        if (got <= 0)
            return kpar_fail(KPAR_EIO, "%s/%s: reading at byte %llu: %s", checkpoint->folder,
                             checkpoint->files[index].name, (unsigned long long)offset,
                             got ? strerror(errno) : "the file ends too early");
        next += got;
        offset += (uint64_t)got;
        bytes -= (size_t)got;
    }
    return KPAR_OK;
}

/* Reads a run of a piece: long ones in place, short ones through the window, which reaches up to the piece's
 * end. */
static kpar_status read_run(kpar_checkpoint *checkpoint, const kpar_piece *piece, uint64_t offset,
                            size_t bytes, void *target)
{
    if (bytes >= KPAR_CHECKPOINT_WINDOW)
        return kpar_piece_file_read(checkpoint, piece->file, offset, bytes, target);
    bool inside = checkpoint->window_file == piece->file && offset >= checkpoint->window_offset &&
                  offset + bytes <= checkpoint->window_offset + checkpoint->window_bytes;
    if (!inside) {
        uint64_t left = piece->offset + piece->bytes - offset;
        size_t length = left < KPAR_CHECKPOINT_WINDOW ? (size_t)left : KPAR_CHECKPOINT_WINDOW;
        if (!checkpoint->window) checkpoint->window = kpar_alloc(KPAR_CHECKPOINT_WINDOW);
        checkpoint->window_bytes = 0;
        KPAR_TRY(kpar_piece_file_read(checkpoint, piece->file, offset, length, checkpoint->window));
        checkpoint->window_file = piece->file;
        checkpoint->window_offset = offset;
        checkpoint->window_bytes = length;
    }
    memcpy(target, checkpoint->window + (offset - checkpoint->window_offset), bytes);
    return KPAR_OK;
}

/* The part that two slices of one variable have in common; false when there is none. */
static bool intersect(const kpar_slice *a, const kpar_slice *b, kpar_slice *common)
{
    common->rank = a->rank;
    for (int d = 0; d < a->rank; d++) {
        int64_t start = a->start[d] > b->start[d] ? a->start[d] : b->start[d];
        int64_t a_end = a->start[d] + a->size[d], b_end = b->start[d] + b->size[d];
        common->start[d] = start;
        common->size[d] = (a_end < b_end ? a_end : b_end) - start;
        if (common->size[d] <= 0) return false;
    }
    return true;
}

/* Number of the element at `index` of `common` among the row-major elements of `slice`. */
static int64_t place(const kpar_slice *slice, const kpar_slice *common, const int64_t index[KPAR_MAX_RANK])
{
    int64_t number = 0;
    for (int d = 0; d < slice->rank; d++)
        number = number * slice->size[d] + common->start[d] + index[d] - slice->start[d];
    return number;
}

/* Moves to the next index over the dimensions [0, end); false after the last. */
static bool advance(int64_t index[KPAR_MAX_RANK], const kpar_slice *common, int end)
{
    for (int d = end - 1; d >= 0; d--) {
        if (++index[d] < common->size[d]) return true;
        index[d] = 0;
    }
    return false;
}

/* First dimension of the runs that are contiguous in the piece and in the target. */
static int run_dimension(const kpar_slice *a, const kpar_slice *b, const kpar_slice *common)
{
    int d = common->rank - 1;
    while (d > 0 && common->size[d] == a->size[d] && common->size[d] == b->size[d]) d--;
    return d > 0 ? d : 0;
}

/* Copies what `piece` has of `slice`; adds the number of elements to *copied. */
static kpar_status read_piece(kpar_checkpoint *checkpoint, const kpar_piece *piece, const kpar_slice *slice,
                              char *values, int64_t *copied)
{
    kpar_slice common;
    if (!intersect(&piece->slice, slice, &common)) return KPAR_OK;
    int run = run_dimension(&piece->slice, slice, &common);
    int64_t index[KPAR_MAX_RANK] = {0}, count = kpar_count(common.rank - run, common.size + run);
    size_t bytes = kpar_dtype_bytes(piece->dtype);
    do {
        uint64_t offset = piece->offset + (uint64_t)place(&piece->slice, &common, index) * bytes;
        char *target = values + (size_t)place(slice, &common, index) * bytes;
        KPAR_TRY(read_run(checkpoint, piece, offset, (size_t)count * bytes, target));
        *copied += count;
    } while (advance(index, &common, run));
    return KPAR_OK;
}

/* The first piece of a variable, or the number of pieces. */
static size_t first_piece(const kpar_checkpoint *checkpoint, const char *path)
{
    size_t low = 0, high = checkpoint->n_pieces;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (strcmp(checkpoint->pieces[middle].path, path) < 0)
            low = middle + 1;
        else
            high = middle;
    }
    return low < checkpoint->n_pieces && !strcmp(checkpoint->pieces[low].path, path) ? low
                                                                                     : checkpoint->n_pieces;
}

bool kpar_checkpoint_has(const kpar_checkpoint *checkpoint, const char *path)
{
    return first_piece(checkpoint, path) < checkpoint->n_pieces;
}

static kpar_status check_variable(const kpar_checkpoint *checkpoint, const kpar_piece *piece,
                                  kpar_dtype dtype, int rank, const int64_t *dims)
{
    if (piece->dtype == dtype && piece->rank == rank &&
        !memcmp(piece->dims, dims, (size_t)rank * sizeof *dims))
        return KPAR_OK;
    char found[KPAR_SHAPE_TEXT], expected[KPAR_SHAPE_TEXT];
    return kpar_fail(KPAR_EDATA, "%s: %s is %s of shape %s, expected %s of shape %s", checkpoint->folder,
                     piece->path, kpar_dtype_name(piece->dtype),
                     kpar_shape_text(found, piece->rank, piece->dims), kpar_dtype_name(dtype),
                     kpar_shape_text(expected, rank, dims));
}

kpar_status kpar_checkpoint_read(kpar_checkpoint *checkpoint, const char *path, kpar_dtype dtype, int rank,
                                 const int64_t *dims, const kpar_slice *slice, void *values)
{
    size_t i = first_piece(checkpoint, path);
    if (i == checkpoint->n_pieces)
        return kpar_fail(KPAR_EDATA, "%s: has no variable %s", checkpoint->folder, path);
    int64_t copied = 0, wanted = kpar_count(slice->rank, slice->size);
    for (; i < checkpoint->n_pieces && !strcmp(checkpoint->pieces[i].path, path); i++) {
        KPAR_TRY(check_variable(checkpoint, &checkpoint->pieces[i], dtype, rank, dims));
        KPAR_TRY(read_piece(checkpoint, &checkpoint->pieces[i], slice, values, &copied));
    }
    if (copied == wanted) return KPAR_OK;
    return kpar_fail(KPAR_EDATA, "%s: has %lld of the %lld wanted elements of %s", checkpoint->folder,
                     (long long)copied, (long long)wanted, path);
}
