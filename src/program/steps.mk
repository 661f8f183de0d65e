# Sources of src/program.
