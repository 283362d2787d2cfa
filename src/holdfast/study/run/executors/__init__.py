"""Where runs happen. What happens in them is the same everywhere."""
