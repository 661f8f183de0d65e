# Sources of src/run.
