"""What tests of several rooms share: oracles, layers, arrays, a GPU on the host."""
