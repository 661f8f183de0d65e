# Unit tests of the subject gradient.
