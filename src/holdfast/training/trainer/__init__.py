"""Methods in a Transformers Trainer."""
