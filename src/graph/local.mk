# Sources of src/graph.
