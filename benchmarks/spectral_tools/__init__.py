"""Spectral tools for training beside those of PyTorch."""
