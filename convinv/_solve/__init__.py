"""The front door: from the user's arguments to a verified result."""
