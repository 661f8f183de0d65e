# Unit tests of the subject train.
