"""Experiments of "Fast and scalable inversion of convolution layers" (STRIP)."""
