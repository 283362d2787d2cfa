"""Child-Tuning, task-driven."""
