# Tests in tests/mpi.
