"""SIFT."""
