"""Which rows are drawn, held out, or left out."""
