# Unit tests of the subject graph.
