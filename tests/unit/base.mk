# Unit tests of the subject base.
