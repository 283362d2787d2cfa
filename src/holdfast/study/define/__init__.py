"""The study file, and what it may say."""
