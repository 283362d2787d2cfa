"""RecAdam."""
