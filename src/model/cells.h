/* Cells of recurrent layers: what one time step does. */
#ifndef KPAR_MODEL_CELLS_H
#define KPAR_MODEL_CELLS_H

#include "model/lower_internal.h"

enum { KPAR_CELL_STATES = 2, KPAR_CELL_GATES = 4 };

typedef kpar_x (*kpar_cell_activation)(kpar_expression_builder *e, kpar_x x);

typedef struct kpar_cell_row kpar_cell_row;

/* A cell in one call of its layer: its arguments and the values of its weights. */
typedef struct kpar_cell {
    const kpar_cell_row *row;
    int64_t units;
    kpar_cell_activation activation, recurrent_activation;
    bool use_bias, reset_after;
    kpar_value_id kernel, recurrent;    /* (features, gates · units), (units, gates · units) */
    kpar_value_id bias, recurrent_bias; /* (gates · units), -1: none */
    /* What inputs (batch, features) and the state (batch, units) are times, for each gate; -1: they stay as they are. */
    kpar_value_id input_drop[KPAR_CELL_GATES], recurrent_drop[KPAR_CELL_GATES];
} kpar_cell;

struct kpar_cell_row {
    const char *class_name; /* of the cell as a layer of its own */
    const char *layer_name; /* of the layer that has such a cell as its part */
    int gates, states;
    /* The next states, of x (batch, gates · units), the input's part of the gates, and the states, (batch, units) each.
     * The first of them is what the cell gives. */
    kpar_status (*step)(kpar_lowering *lowering, const kpar_cell *cell, kpar_value_id x,
                        const kpar_value_id *states, kpar_value_id *next);
};

/* The row of a cell's or of a layer's class; NULL: none. */
const kpar_cell_row *kpar_cell_row_find(const char *class_name);

/* Arguments and weights of the current layer, or its part, for inputs of so many features. */
kpar_status kpar_cell_read(kpar_lowering *lowering, const kpar_cell_row *row, int64_t features,
                           kpar_cell *cell) KPAR_MUST_USE;

/* The inputs' part of all steps at once: x (batch, time, features) to (batch, time, gates · units). */
kpar_status kpar_cell_project(kpar_lowering *lowering, const kpar_cell *cell, kpar_value_id x,
                              kpar_value_id *out) KPAR_MUST_USE;

#endif
