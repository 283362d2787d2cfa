"""Which runs a study does."""
