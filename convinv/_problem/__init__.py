"""The problem that a method is given: scaled, watched and judged."""
