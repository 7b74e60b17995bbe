"""Rules that choose the damp from the data."""
