# Sources of src/api.
