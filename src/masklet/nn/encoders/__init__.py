"""Image encoders: pictures to maps at strides 4, 8, 16 and 32.

`configs.py` holds the configurations, which check themselves and build; each other file holds a trunk.
"""
