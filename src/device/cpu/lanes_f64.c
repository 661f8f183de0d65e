/* The evaluator's instructions in double, for integers and double tensors: exact up to 2^53, functions from the C
 * library. */
#include "device/cpu/vector.h"

#include "device/cpu/lanes.h"

#include <math.h>

static inline double sigmoid(double x) { return 1.0 / (1.0 + exp(-x)); }
static inline double absolute(double x) { return fabs(x); }

#define REAL double
#define RUN kpar_lanes_run_f64
#define CLONES lane_clones_f64
#define FUNCTION(name) name
#include "device/cpu/lanes_loops.h"
