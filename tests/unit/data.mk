# Unit tests of the subject data.
