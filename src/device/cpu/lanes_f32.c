/* The evaluator's instructions in float. */
#include "device/cpu/vector_math.h"

#include "device/cpu/lanes.h"

static inline float kpar_sqrt_f32(float x) { return sqrtf(x); }
static inline float kpar_floor_f32(float x) { return floorf(x); }

#define REAL float
#define RUN kpar_lanes_run_f32
#define CLONES lane_clones_f32
#define FUNCTION(name) kpar_##name##_f32
#include "device/cpu/lanes_loops.h"
