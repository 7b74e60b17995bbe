"""The cheapest way to solve, from counts of operations."""
