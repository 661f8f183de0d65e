# Tests in tests/unit.
