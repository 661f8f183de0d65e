/* The attributes of an op or a kernel as a table, so that comparing, hashing, printing and reading them cannot disagree
 * or forget one. */
#ifndef KPAR_GRAPH_ATTRIBUTES_H
#define KPAR_GRAPH_ATTRIBUTES_H

#include "base/text.h"
#include "graph/graph.h"

typedef enum kpar_field_kind {
    KPAR_FIELD_BOOL,
    KPAR_FIELD_INT,
    KPAR_FIELD_INT64,
    KPAR_FIELD_UINT64,
    KPAR_FIELD_DOUBLE,
    KPAR_FIELD_DTYPE,
    KPAR_FIELD_SHAPE,
} kpar_field_kind;

/* A member of kpar_attributes, or an array of `count`. All but the expression are in the table. */
typedef struct kpar_attribute_row {
    const char *name;
    size_t offset;
    kpar_field_kind kind;
    int count;
} kpar_attribute_row;

const kpar_attribute_row *kpar_attribute_rows(int *n);

/* Over every row and the expression. */
bool kpar_attributes_equal(const kpar_attributes *a, const kpar_attributes *b);
uint64_t kpar_attributes_hash(uint64_t hash, const kpar_attributes *attributes);

/* " name=value" for each member that is not zero; not the expression. kpar_attribute_parse reads the value of one
 * and returns false where it is malformed or out of range. */
void kpar_attributes_print(kpar_text *text, const kpar_attributes *attributes);
bool kpar_attribute_parse(const kpar_attribute_row *row, const char *value, kpar_attributes *attributes);

#endif
