"""The shapes of data: what is stored and what is reported; each declared once."""
