"""Loading models, and reading their weights and hidden states."""
