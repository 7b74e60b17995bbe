"""Checks of numbers that users give, with errors that name the argument."""


def number(value, name):
    """A finite number that is not negative."""
    try:
        number = float(value)
    except (TypeError, ValueError):
        raise TypeError(f"{name} must be a real number, got {value!r}") from None
    if not 0 <= number < float("inf"):
        raise ValueError(f"{name} must be finite and not negative, got {value!r}")
    return number
