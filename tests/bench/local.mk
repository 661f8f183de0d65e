# Tests in tests/bench.
