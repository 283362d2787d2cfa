"""Training on the texts themselves, before the task."""
