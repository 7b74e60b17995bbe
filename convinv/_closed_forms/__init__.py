"""Layers that a known transform takes apart into small matrices."""
