# Sources of src/comm.
