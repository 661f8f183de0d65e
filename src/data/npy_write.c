/* Writing a .npy file. */
#include "data/npy.h"

#include "base/text.h"
#include "data/output.h"

#include <inttypes.h>

enum { PREFIX_BYTES = 10, ALIGNMENT = 64 };

/* The dictionary, padded so that the elements begin at a multiple of 64 bytes. */
static void make_header(const kpar_array *array, kpar_text *header)
{
    char order = __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__ ? '<' : '>';
    if (kpar_dtype_bytes(array->dtype) == 1) order = '|';
    kpar_text_printf(header, "{'descr': '%c%s', 'fortran_order': False, 'shape': (", order,
                     kpar_npy_type_name(array->dtype));
    for (int d = 0; d < array->rank; d++)
        kpar_text_printf(header, "%" PRId64 "%s", array->dims[d],
                         array->rank == 1      ? ","
                         : d + 1 < array->rank ? ", "
                                               : "");
    kpar_text_printf(header, "), }");
    size_t unpadded = PREFIX_BYTES + header->length + 1;
    kpar_text_printf(header, "%*s\n", (int)((ALIGNMENT - unpadded % ALIGNMENT) % ALIGNMENT), "");
}

static kpar_status write_parts(kpar_new_file *output, const kpar_text *header, const kpar_array *array)
{
    unsigned char prefix[PREFIX_BYTES] = {0x93, 'N', 'U', 'M', 'P', 'Y', 1, 0};
    prefix[8] = (unsigned char)header->length;
    prefix[9] = (unsigned char)(header->length >> 8);
    KPAR_TRY(kpar_new_file_write(output, prefix, sizeof prefix));
    KPAR_TRY(kpar_new_file_write(output, header->bytes, header->length));
    return kpar_new_file_write(output, array->data,
                               (size_t)kpar_array_count(array) * kpar_dtype_bytes(array->dtype));
}

kpar_status kpar_npy_write(const char *path, const kpar_array *array)
{
    if (!kpar_npy_type_name(array->dtype))
        return kpar_fail(KPAR_EUNSUPPORTED, "%s: NumPy has no %s; convert to float32 first", path,
                         kpar_dtype_name(array->dtype));
    kpar_new_file *output = NULL;
    KPAR_TRY(kpar_new_file_create(path, &output));
    kpar_text header = {0};
    make_header(array, &header);
    kpar_status status = write_parts(output, &header, array);
    kpar_text_clear(&header);
    if (status == KPAR_OK) return kpar_new_file_commit(output);
    kpar_new_file_abandon(output);
    return status;
}
