"""Layers that a known transform block-diagonalizes into small matrices."""
