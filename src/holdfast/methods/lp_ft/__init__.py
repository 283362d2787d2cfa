"""Linear probing, then fine-tuning."""
