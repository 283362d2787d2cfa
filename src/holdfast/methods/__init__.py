"""What changes in training. One method, one file."""
