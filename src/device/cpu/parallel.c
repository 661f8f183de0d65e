/* Threads by OpenMP, the same ones that oneDNN uses; without OpenMP a rank computes with one thread. */
#include "device/cpu/parallel.h"

#if defined __SSE2__
#include <xmmintrin.h>
#endif

/* oneDNN may bring its OpenMP along where the compiler has none: what is declared weak is NULL without one. */
extern void omp_set_num_threads(int threads) __attribute__((weak));

void kpar_parallel(int threads, int64_t items, kpar_parallel_part part, void *context)
{
    if (threads > items) threads = (int)items;
    if (threads <= 1) {
        if (items > 0) part(context, 0, 0, items);
        return;
    }
#ifdef _OPENMP
#pragma omp parallel for num_threads(threads) schedule(static, 1)
#endif
    for (int worker = 0; worker < threads; worker++)
        part(context, worker, items * worker / threads, items * (worker + 1) / threads);
}

static void flush_denormals(void *context, int worker, int64_t first, int64_t last)
{
    (void)context;
    (void)worker;
    (void)first;
    (void)last;
#if defined __SSE2__
    enum { FLUSH_TO_ZERO = 0x8000, DENORMALS_ARE_ZERO = 0x0040 };
    _mm_setcsr(_mm_getcsr() | FLUSH_TO_ZERO | DENORMALS_ARE_ZERO);
#endif
}

void kpar_parallel_enter(int threads)
{
    static _Thread_local int entered, flushed;
    if (entered == threads) return;
    if (omp_set_num_threads) omp_set_num_threads(threads);
    entered = threads;
    if (threads <= flushed) return;
    flush_denormals(0, 0, 0, 0);
    kpar_parallel(threads, threads, flush_denormals, 0);
    flushed = threads;
}
