# Sources of src/launch.
