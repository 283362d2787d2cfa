"""From the records of runs to a summary."""
