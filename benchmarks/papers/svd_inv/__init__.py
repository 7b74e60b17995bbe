"""Experiments of "Differentiable SVD ..." by Zhang and Hu."""
