"""Where the reference keeps its network."""
