# Sources of src/bench.
