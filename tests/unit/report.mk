# Unit tests of the subject report.
