"""Metrics, and what may be scored on what."""
