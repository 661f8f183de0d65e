# Unit tests of the subject tensor.
