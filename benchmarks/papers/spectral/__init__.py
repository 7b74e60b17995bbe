"""Experiments of "Spectral function space learning ..." by Aspri and others."""
