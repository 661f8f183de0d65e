# Sources of src/train.
