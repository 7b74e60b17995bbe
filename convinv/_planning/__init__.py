"""Which way to solve costs least, from counts."""
