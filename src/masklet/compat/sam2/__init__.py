"""The reference project's package, as code that was written for it imports it."""

__version__ = "1.1.0"
"""Of the reference's release whose calls are answered."""
