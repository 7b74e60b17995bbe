"""How far a result is from what it should be; arrays may be of any library."""

import math


def psnr(x, exact, peak=1.0):
    """Decibels of a peak over the root mean square of the error; inf without error."""
    error = (x - exact).reshape(-1)
    mse = float(error @ error) / math.prod(error.shape)
    return 20 * math.log10(peak) - 10 * math.log10(mse) if mse else math.inf


def worst_psnr(x, exact):
    """That of the worst item of a batch, whose peak is its own largest value."""
    return min(psnr(a, b, float(abs(b).max())) for a, b in zip(x, exact))


def relative_error(x, exact):
    """The norm of the difference over that of what is right."""
    difference, exact = (x - exact).reshape(-1), exact.reshape(-1)
    return math.sqrt(float(difference @ difference) / float(exact @ exact))


def largest_error(x, exact):
    """The largest difference over the largest value; nan where one is not a number."""
    return float(abs(x - exact).max() / abs(exact).max())
