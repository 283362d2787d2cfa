"""Figures of the documentation, drawn from finished studies."""
