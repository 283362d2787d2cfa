"""Child-Tuning, task-free."""
