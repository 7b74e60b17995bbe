"""Kinds of modules that have no inverse, and why."""

from torch import nn

from ._stages import REFUSED

ZERO = "maps all negative numbers to 0"
NOT_MONOTONIC = "not monotonic"
OWN_STATISTICS = (
    "the mean and the deviation of each item, by which it scales that, are lost"
)
WINDOWS = "not invertible: keeps one number of each window"
AVERAGES = "not invertible: keeps the average of each window"
SUMS = "a number that is added to all inputs does not change its output"

REASONS: dict[tuple[str, ...], str] = {
    ("ReLU", "ReLU6"): ZERO,
    ("Hardtanh", "Hardsigmoid"): "maps all numbers beyond its ends to these",
    ("Threshold", "Hardshrink", "Softshrink"): "maps many numbers to one",
    ("SiLU", "GELU", "Mish", "Hardswish"): NOT_MONOTONIC,
    ("GLU",): "its output has half the numbers of its input",
    ("Softmax", "Softmax2d", "Softmin", "LogSoftmax"): SUMS,
    ("GroupNorm", "LayerNorm", "RMSNorm", "LocalResponseNorm"): OWN_STATISTICS,
    ("InstanceNorm1d", "InstanceNorm2d", "InstanceNorm3d"): OWN_STATISTICS,
    ("MaxPool1d", "MaxPool2d", "MaxPool3d"): WINDOWS,
    ("AdaptiveMaxPool1d", "AdaptiveMaxPool2d", "AdaptiveMaxPool3d"): WINDOWS,
    ("FractionalMaxPool2d", "FractionalMaxPool3d"): WINDOWS,
    ("AvgPool1d", "AvgPool2d", "AvgPool3d"): AVERAGES,
    ("AdaptiveAvgPool1d", "AdaptiveAvgPool2d", "AdaptiveAvgPool3d"): AVERAGES,
    ("LPPool1d", "LPPool2d", "LPPool3d"): AVERAGES,
}

for names, reason in REASONS.items():
    # older versions of PyTorch lack some of them
    kinds = (getattr(nn, name) for name in names if hasattr(nn, name))
    REFUSED.update(dict.fromkeys(kinds, reason))
