/* Modules: layers that belong together, by their names. */
#ifndef KPAR_PARALLEL_MODULE_H
#define KPAR_PARALLEL_MODULE_H

#include <stdbool.h>
#include <stddef.h>

/* Bytes of a layer's name up to the end of its first `level` parts; 0 if it has no part beyond them. Parts end at '/' (models
 * within models) and at '_' after a word with a number, unless nothing but a number follows: "tower/dense" is tower and
 * dense, "block_1_expand" is block_1 and expand, "conv2_block1_1_conv" is conv2, block1, 1 and conv, "conv2d_5" is one. */
size_t kpar_module_length(const char *layer, int level);

/* Whether two layers are of the same module at that level, or the same layer. */
bool kpar_module_same(const char *a, const char *b, int level);

/* Whether two layers are of one model within the model, or of one layer that has layers: alike up to the first '/'. */
bool kpar_module_nested(const char *a, const char *b);

#endif
