"""The representation while it is tuned."""
