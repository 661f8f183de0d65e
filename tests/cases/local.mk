# The reference cases.
