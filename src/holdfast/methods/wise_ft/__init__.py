"""WiSE-FT."""
