# Sources of src/tensor.
