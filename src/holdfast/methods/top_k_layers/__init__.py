"""Training of the top layers."""
