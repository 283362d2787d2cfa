"""FreeLB."""
