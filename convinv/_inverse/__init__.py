"""Inverses of the Gram matrix of a layer, computed once and applied often."""
