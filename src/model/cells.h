/* Cells of recurrent layers: what one time step does. */
#ifndef KPAR_MODEL_CELLS_H
#define KPAR_MODEL_CELLS_H

#include "model/lower_internal.h"

enum { KPAR_CELL_STATES = 2, KPAR_CELL_GATES = 4, KPAR_CELL_DIMS = 3 };

typedef kpar_x (*kpar_cell_activation)(kpar_expression_builder *e, kpar_x x);

typedef struct kpar_cell_row kpar_cell_row;

/* A cell in one call of its layer: its arguments and the values of its weights. */
typedef struct kpar_cell {
    const kpar_cell_row *row;
    int64_t units;                          /* of the last dimension */
    kpar_shape state;                       /* (batch, spatial ..., units) */
    int64_t window[KPAR_CELL_DIMS];         /* sizes of kernels along spatial dimensions */
    kpar_attributes over_input, over_state; /* of the two convolutions */
    kpar_cell_activation activation, recurrent_activation;
    bool use_bias, reset_after;
    kpar_value_id kernel, recurrent;    /* (window ..., features or units, gates · units) */
    kpar_value_id bias, recurrent_bias; /* (gates · units), -1: none */
    /* What inputs of a step and the state are times, for each gate; -1: they stay as they are. */
    kpar_value_id input_drop[KPAR_CELL_GATES], recurrent_drop[KPAR_CELL_GATES];
} kpar_cell;

struct kpar_cell_row {
    const char *class_name; /* of the cell as a layer of its own */
    const char *layer_name; /* of the layer that has such a cell as its part */
    int gates, states;
    int dims; /* spatial dimensions that kernels are convolved along; 0: products of matrices */
    /* The next states, of x (batch, spatial ..., gates · units), the input's part of the gates, and of the states. The
     * first of them is what the cell gives. */
    kpar_status (*step)(kpar_lowering *lowering, const kpar_cell *cell, kpar_value_id x,
                        const kpar_value_id *states, kpar_value_id *next);
};

/* The row of a cell's or of a layer's class; NULL: none. */
const kpar_cell_row *kpar_cell_row_find(const char *class_name);

/* Arguments and weights of the current layer, or its part, for inputs x (batch, time, spatial ..., features). */
kpar_status kpar_cell_read(kpar_lowering *lowering, const kpar_cell_row *row, kpar_value_id x,
                           kpar_cell *cell) KPAR_MUST_USE;

/* The inputs' part of all steps at once: (batch, time, spatial ..., gates · units). */
kpar_status kpar_cell_project(kpar_lowering *lowering, const kpar_cell *cell, kpar_value_id x,
                              kpar_value_id *out) KPAR_MUST_USE;

#endif
