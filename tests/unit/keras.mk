# Unit tests of the subject keras.
