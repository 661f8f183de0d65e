# Unit tests of the subject model.
