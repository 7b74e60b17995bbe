"""Inverses of the Gram matrix of a layer, made once and applied often."""
