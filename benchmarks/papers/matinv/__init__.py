"""Neural matrix inversion: a paper's experiments, and what convinv does."""
