"""Results out: terminal, HTML page, model card."""
