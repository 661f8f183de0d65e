/* Emission: the programs of one rank from the graphs of a plan. Inside src/plan only. */
#ifndef KPAR_PLAN_EMIT_H
#define KPAR_PLAN_EMIT_H

#include "plan/plan.h"

/* Rows that a microbatch has room for. */
int64_t kpar_plan_capacity(const kpar_plan *plan);

#endif
