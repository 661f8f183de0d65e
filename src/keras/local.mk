# Sources of src/keras.
