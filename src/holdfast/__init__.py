"""Fine-tune pre-trained models without depending on luck."""
