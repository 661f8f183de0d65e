# Unit tests of the subject algorithm.
