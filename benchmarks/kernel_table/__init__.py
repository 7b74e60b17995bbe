"""The speed of the CPU kernels beside torch, a floor and zero padding."""
