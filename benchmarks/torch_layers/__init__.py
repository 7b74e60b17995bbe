"""Inverses of PyTorch's layers: their gradients, trained layers, autoencoders."""
