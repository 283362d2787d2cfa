"""Data in: catalogue, loading, validation, metrics, generated tasks."""
