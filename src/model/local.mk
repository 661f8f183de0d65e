# Sources of src/model.
