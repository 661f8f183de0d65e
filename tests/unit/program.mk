# Unit tests of the subject program.
