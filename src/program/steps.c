/* Lists of steps. */
#include "program/steps.h"

void kpar_steps_begin(kpar_steps *steps) { *steps = (kpar_steps){.arena = kpar_arena_create()}; }

void kpar_steps_end(kpar_steps *steps)
{
    kpar_free(steps->steps);
    kpar_arena_destroy(steps->arena);
    *steps = (kpar_steps){0};
}

kpar_step *kpar_steps_add(kpar_steps *steps, kpar_step_kind kind)
{
    kpar_step *step = &KPAR_PUSH(steps->steps, steps->n, steps->capacity);
    *step = (kpar_step){.kind = kind};
    return step;
}
