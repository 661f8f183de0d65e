# Unit tests of the subject plan.
