"""What the paper prints, by the size of its images: 28 is MNIST, 64 CelebA, 256 HQ.

Numbers are those of the tables; None is what they leave out.
"""

METHODS = ("STRIP", "CG", "GS", "GD", "LSQR", "LSMR", "RSHK")

# Table 1: one iteration with 1 % noise.
PSNR = {
    28: (42.776, 3.318, 5.923, 0.423, 1.281, 1.004, 3.947),
    64: (36.547, 5.247, 6.105, 4.742, 4.839, 4.786, 5.417),
    256: (40.500, 5.349, None, 4.842, 4.998, 4.985, None),
}
SSIM = {
    28: (0.998, 0.270, 0.495, 0.098, 0.077, 0.038, 0.357),
    64: (0.991, 0.051, 0.153, 0.100, 0.015, 0.007, 0.081),
    256: (0.991, 0.072, None, 0.006, 0.031, 0.026, None),
}
SECONDS = {
    28: (0.039, 0.096, 0.085, 0.098, 0.101, 0.092, 0.122),
    64: (0.091, 0.109, 23.956, 0.112, 0.118, 0.111, 0.592),
    256: (1.258, 264.953, None, 264.849, 265.016, 265.019, None),
}

# Table 4: the same with 10 % noise.
NOISY_PSNR = {
    28: (23.046, 3.303, 5.883, 1.169, 1.270, 0.994, 3.923),
    64: (16.571, 5.230, 5.886, 5.185, 4.823, 4.771, 5.398),
    256: (20.486, 5.348, None, 4.841, 4.996, 4.983, None),
}
NOISY_SSIM = {
    28: (0.927, 0.260, 0.486, 0.049, 0.076, 0.037, 0.347),
    64: (0.746, 0.047, 0.134, 0.036, 0.014, 0.006, 0.077),
    256: (0.694, 0.070, None, 0.005, 0.029, 0.025, None),
}
NOISY_SECONDS = {
    28: (0.059, 0.110, 0.803, 0.107, 0.103, 0.094, 0.118),
    64: (0.113, 0.125, 3.420, 3.192, 0.126, 0.124, 0.742),
    256: (1.641, 605.557, None, 605.167, 605.585, 605.618, None),
}

# Table 2: iterations and seconds to the PSNR of one sweep of STRIP.
ITERATIONS = {
    28: {"CG": 22, "GD": 95, "LSMR": 215, "RSHK": 90, "STRIP": 1},
    64: {"CG": 50, "GD": 125, "LSMR": 2100, "RSHK": 750, "STRIP": 1},
    256: {"CG": 32, "GD": 900, "LSMR": 555, "STRIP": 1},
}
MATCHED_SECONDS = {
    28: {"CG": 0.114, "GD": 0.370, "LSMR": 0.729, "RSHK": 4.333, "STRIP": 0.039},
    64: {"CG": 0.194, "GD": 0.627, "LSMR": 48.773, "RSHK": 314.136, "STRIP": 0.091},
    256: {"CG": 265.981, "GD": 356.911, "LSMR": 312.230, "STRIP": 1.258},
}

# Figures 11 and 5: ||K - K^2||_F, PSNR
ARRANGEMENTS = {
    28: {
        "strip": (0.001, 43.78),
        "interleaved": (0.001, 40.29),
        "standard": (0.495, 35.35),
        "randomized": (0.653, 15.49),
    },
    64: {
        "strip": (0.326, 36.45),
        "interleaved": (24.258, 10.05),
        "standard": (30.416, 7.63),
        "randomized": (31.689, 7.12),
    },
}

# Table 3: PSNR, SSIM, seconds.
TRANSPOSED = {
    "STRIP": ("40.5512 ± 0.0296", 0.9916, "1.8275"),
    "UPCONV": ("25.2383 ± 0.0001", 0.9533, "0.0033"),
}


def printed(table, size, method):
    """The number of a table, None where the paper has none."""
    row = table.get(size, {})
    row = row if isinstance(row, dict) else dict(zip(METHODS, row))
    return row.get(method)


def cell(table, size, method):
    """The same as it is printed."""
    value = printed(table, size, method)
    return None if value is None else f"{value:g}"
