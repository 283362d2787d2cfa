"""What methods need to know of a model, and do to it."""
