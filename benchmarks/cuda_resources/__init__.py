"""What every CUDA kernel needs of a multiprocessor, found without a GPU."""
