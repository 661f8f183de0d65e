/* Modelled cost: the slower of arithmetic and memory (Williams, Waterman, Patterson, "Roofline", 2009). */
#include "parallel/cost.h"

#include "parallel/place.h"

static kpar_array local_array(const kpar_graph *graph, kpar_value_id id, const kpar_cost_model *model)
{
    const kpar_value *v = &graph->values[id];
    kpar_array array = {.dtype = v->dtype, .rank = v->shape.rank};
    kpar_local_dims(v, model->mesh, (kpar_coordinate){0, 0, 0}, model->rows, array.dims);
    return array;
}

double kpar_cost_flops(const kpar_graph *graph, const kpar_op *op, const kpar_cost_model *model)
{
    const kpar_op_row *row = kpar_op_row_get((kpar_op_kind)op->kind);
    if (!row->flops) return 0;
    kpar_array *arrays = kpar_alloc((size_t)(op->n_inputs + op->n_outputs) * sizeof *arrays);
    for (int i = 0; i < op->n_inputs; i++) arrays[i] = local_array(graph, op->inputs[i], model);
    for (int i = 0; i < op->n_outputs; i++)
        arrays[op->n_inputs + i] = local_array(graph, op->outputs[i], model);
    double flops = row->flops(&op->attributes, arrays, op->n_inputs, arrays + op->n_inputs);
    kpar_free(arrays);
    return flops;
}

double kpar_cost_bytes(const kpar_graph *graph, const kpar_op *op, const kpar_cost_model *model)
{
    double bytes = 0;
    for (int i = 0; i < op->n_inputs + op->n_outputs; i++) {
        kpar_array a =
            local_array(graph, i < op->n_inputs ? op->inputs[i] : op->outputs[i - op->n_inputs], model);
        bytes += (double)kpar_array_count(&a) * (double)kpar_dtype_bytes(a.dtype);
    }
    return op->kind == KPAR_OP_RESHAPE || op->kind == KPAR_OP_ACCUMULATE ? 0 : bytes;
}

double kpar_cost_seconds(const kpar_graph *graph, const kpar_op *op, const kpar_cost_model *model)
{
    double compute = kpar_cost_flops(graph, op, model) / model->flops_per_second;
    double memory = kpar_cost_bytes(graph, op, model) / model->bytes_per_second;
    return compute > memory ? compute : memory;
}
