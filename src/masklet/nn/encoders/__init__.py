"""Image encoders: pictures to maps at strides 4, 8, 16 and 32. Each file holds trunks of one kind."""
