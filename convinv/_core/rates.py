"""Speeds by which costs are estimated: of two cores, or of a GPU.

Only counts and these constants enter an estimate, never a clock, so that a choice by
cost is the same in every run on the same kind of card. Set-ups of exact inverses are
made by the host wherever the arrays are, and their constants are not here.
"""

import functools
from typing import NamedTuple

import numpy as np


class Rates(NamedTuple):
    """Dictionaries are by bytes of a real number.

    Attributes
    ----------
    multiply : dict
        Operations per second of a large matrix product.
    half : float
        Rows and columns at which it reaches half of that.
    bandwidth : float
        Bytes per second that are read or written once.
    cached : float
        Bytes per second of a matrix that is used again for successive rows.
    transform : dict
        Seconds for a number of a transform, per log2 of its length.
    channel : dict
        Seconds of one multiplication by the matrix of a frequency.
    product, step, check, apply, call : float
        Seconds of calls alone: of a product with an operator; of an iteration, without
        its products; of a residual in double precision; of an application by FFT; of
        one small matrix product.
    wait : float
        Seconds of a step of a sweep that is one of many in a launch, 0 where each step
        is a call.
    """

    multiply: dict
    half: float
    bandwidth: float
    cached: float
    transform: dict
    channel: dict
    product: float
    step: float
    check: float
    apply: float
    call: float
    wait: float = 0.0


HOST = Rates(
    multiply={4: 110e9, 8: 55e9},  # of one thread
    half=40,
    bandwidth=20e9,
    cached=28e9,
    transform={4: 0.2e-9, 8: 0.4e-9},
    channel={4: 0.2e-9, 8: 0.2e-9},
    product=15e-6,
    step=100e-6,
    check=0.4e-3,
    apply=200e-6,
    call=4e-6,
)
# An H100, from benchmarks/results/gpu.md: a launch takes Python 10 us and an operation
# on arrays 14 to 18 us. An iteration is the mean of 50, of which most are in a graph:
# of the launches that are left, as they have been fewer since that was measured.
H100 = Rates(
    multiply={4: 51e12, 8: 51e12},
    half=256,
    bandwidth=3.0e12,
    cached=5e12,  # of its L2
    transform={4: 1e-12, 8: 2e-12},
    channel={4: 1.3e-12, 8: 2.6e-12},
    product=60e-6,
    step=150e-6,
    check=1.5e-3,
    apply=400e-6,
    call=10e-6,
    wait=0.35e-6,
)
# What CUDA says of that card: its processors and their kHz, its memory's kHz and bits.
PROCESSORS, CLOCK = 132, 1_980_000
MEMORY_CLOCK, BUS = 2_619_000, 5120
DOUBLE = 2  # speed of single precision over that of double


def rates_of(xp) -> Rates:
    """The rates for arrays of a library, on a device those of the current one."""
    return HOST if xp is np else _of_card(xp, xp.cuda.Device().id)


@functools.cache
def _of_card(xp, number):
    """The rates of the H100, in proportion to what another card has."""
    found = getattr(xp.cuda.Device(number), "attributes", {})

    def ratio(*pairs):
        share = 1.0
        for name, of_h100 in pairs:
            value = found.get(name, 0)
            share *= value / of_h100 if value > 1 else 1.0  # some drivers do not say
        return share

    speed = ratio(("MultiProcessorCount", PROCESSORS), ("ClockRate", CLOCK))
    memory = ratio(("MemoryClockRate", MEMORY_CLOCK), ("GlobalMemoryBusWidth", BUS))
    double = ratio(("SingleToDoublePrecisionPerfRatio", DOUBLE))
    return H100._replace(
        multiply={4: speed * H100.multiply[4], 8: speed / double * H100.multiply[8]},
        bandwidth=memory * H100.bandwidth,
        cached=speed * H100.cached,
        transform={size: t / memory for size, t in H100.transform.items()},
        channel={size: t / memory for size, t in H100.channel.items()},
    )
