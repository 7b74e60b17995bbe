"""What convinv does on a GPU: correctness, ceilings, and times beside them."""
