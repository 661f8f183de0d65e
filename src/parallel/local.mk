# Sources of src/parallel.
