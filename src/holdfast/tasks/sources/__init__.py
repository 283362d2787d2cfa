"""Files, folders and the hub into tables."""
