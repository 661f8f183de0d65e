# Unit tests of the subject comm.
