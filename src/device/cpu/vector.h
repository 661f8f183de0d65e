/* How loops become vector instructions: written plainly over groups of KPAR_LANES elements, compiled for several
 * instruction sets, chosen when the program starts. Include before anything else.
 *
 * The same bits everywhere: no contraction to fused multiply-adds, no reassociation, and sums in an order that is
 * spelled out by lanes; so the instruction set and the number of threads change no result. */
#ifndef KPAR_DEVICE_CPU_VECTOR_H
#define KPAR_DEVICE_CPU_VECTOR_H

#if defined __clang__
#pragma STDC FP_CONTRACT OFF
#pragma clang diagnostic ignored "-Wpass-failed" /* a loop that stays scalar is slow, not wrong */
#define KPAR_INDEPENDENT _Pragma("clang loop vectorize(assume_safety) unroll(disable)")
#elif defined __GNUC__
#pragma GCC optimize("O3,no-math-errno,no-trapping-math,fp-contract=off")
#define KPAR_INDEPENDENT _Pragma("GCC ivdep")
#endif

#include <stddef.h>
#include <stdint.h>

/* KPAR_INDEPENDENT in front of a loop: no element depends on one that another turn writes. Pointers may be equal. */

/* For static functions, whose names no other file uses: clang's clones cannot be called from other files, but
 * their resolvers are seen there. Not under ThreadSanitizer, which begins after the resolvers have run. */
#if defined __x86_64__ && defined __GLIBC__ && !defined __SANITIZE_THREAD__
#define KPAR_CLONES __attribute__((target_clones("avx512f", "avx2", "default")))
#else
#define KPAR_CLONES
#endif

/* Elements that are computed at a time; sums have that many partial sums. */
enum { KPAR_LANES = 16 };

/* for (j = 0; j < KPAR_LANES; j++), of independent turns. */
#define KPAR_EACH_LANE(j) KPAR_INDEPENDENT for (int j = 0; j < KPAR_LANES; j++)

/* to[j] = value for each lane, where the value may read to[j]. gcc asks at run time whether pointers are equal, and
 * then takes a scalar loop, unless the group is complete before it is stored. */
#if defined __clang__
#define KPAR_STORE_LANES(type, to, j, value) KPAR_EACH_LANE(j) to[j] = (value);
#else
#define KPAR_STORE_LANES(type, to, j, value)                                                                 \
    {                                                                                                        \
        type group[KPAR_LANES];                                                                              \
        KPAR_EACH_LANE(j) group[j] = (value);                                                                \
        KPAR_EACH_LANE(j) to[j] = group[j];                                                                  \
    }
#endif

#endif
