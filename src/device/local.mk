# Sources of src/device.
