# Unit tests of the subject device.
