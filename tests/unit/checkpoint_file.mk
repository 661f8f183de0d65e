# Unit tests of the subject checkpoint_file.
