"""GMRES for deconvolution: a blog post's experiments, and what convinv does."""
