/* The pixel of each cell of each window. */
#include "device/cpu/windows.h"

kpar_status kpar_windows_create(const kpar_window_size *size, kpar_windows **windows)
{
    const int64_t positions = kpar_window_count(size->result), cells = kpar_window_count(size->window);
    void *table;
    KPAR_TRY(
        kpar_try_alloc((size_t)(positions * cells + 1) * sizeof(int32_t), "the windows of a kernel", &table));
    kpar_windows *w = kpar_alloc(sizeof *w);
    *w = (kpar_windows){*size, positions, cells, kpar_window_count(size->image), table};
    for (int64_t p = 0; p < positions; p++)
        for (int64_t c = 0; c < cells; c++) w->table[p * cells + c] = (int32_t)kpar_window_pixel(size, p, c);
    *windows = w;
    return KPAR_OK;
}

void kpar_windows_destroy(kpar_windows *windows)
{
    if (!windows) return;
    kpar_free_aligned(windows->table);
    kpar_free(windows);
}
