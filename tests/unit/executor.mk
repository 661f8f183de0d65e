# Unit tests of the subject executor.
