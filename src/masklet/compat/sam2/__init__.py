"""The reference project's package, as code that was written for it imports it."""
