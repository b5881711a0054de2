"""Small tools that clients of the reference import."""
