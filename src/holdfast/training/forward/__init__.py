"""One forward pass for the batch and all its views."""
