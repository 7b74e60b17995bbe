"""Pseudoinverses and proximal steps of blurs: convinv's in deepinv, beside its own.

Run from the repository's root, with deepinv installed::

    python -m benchmarks.deepinv_inverses

Both are physics of deepinv with the same filter, `ConvPhysics` and ``Blur``, applied to
a photograph in single precision. Of what they return the gradient of the problem is
computed in double precision, by ``Blur``: it is zero at the solution. Seconds are those
of the processor, with one thread. ``--output`` writes the table to a file.
"""

import argparse
import math
import pathlib
import time
import warnings

from .support import machine
from .support.measure import interleaved
from .support.results import show
from .support.tables import number, section
from .support.threads import one_torch_thread, restart_with

NAME = "deepinv_inverses"
FILTERS = {
    "gaussian 9 x 9": lambda gallery: gallery.gaussian_kernel(9, 1.5),
    "disc 11 x 11": lambda gallery: gallery.disc_kernel(5),
}
PADDINGS = ("circular", "replicate")
GAMMA = 100.0
# of Blur: what it does by default, and what it takes to come closer
SETTINGS = {
    "its defaults": {},
    "200 iterations": {"tol": 1e-9, "max_iter": 200},
}


def main(argv=None):
    args = parse(argv)
    restart_with(1, NAME)
    with warnings.catch_warnings(), one_torch_thread():
        warnings.simplefilter("ignore")
        rows = [
            row
            for name in FILTERS
            for padding in PADDINGS
            for step in ("A_dagger", "prox_l2")
            for row in measured(name, padding, step, args)
        ]
    show(report(args, rows), args.output)


def parse(argv):
    parser = argparse.ArgumentParser(
        prog=f"python -m benchmarks.{NAME}", description=__doc__.split("\n")[0]
    )
    parser.add_argument("--size", type=int, default=128, help="of the image's sides")
    parser.add_argument("--seconds", type=float, default=0.5, help="per call, or more")
    parser.add_argument("--output", type=pathlib.Path, help="file of the table")
    return parser.parse_args(argv)


def measured(name, padding, step, args):
    """The rows of one blur, with one kind of step."""
    import deepinv
    import torch

    from convinv import gallery
    from convinv.interop.deepinv import ConvPhysics

    filter = torch.as_tensor(FILTERS[name](gallery))[None, None].float()
    blur = deepinv.physics.Blur(filter, padding=padding)
    exact = ConvPhysics(filter, padding=padding, on_failure="ignore")
    picture = gallery.image("astronaut", args.size)
    x = torch.as_tensor(picture)[None].float()
    y = blur(x)
    z = torch.zeros_like(x)

    def call(physics, options):
        if step == "A_dagger":
            return physics.A_dagger(y, **options)
        return physics.prox_l2(z, y, GAMMA, **options)

    calls = {("ConvPhysics", ""): lambda: call(exact, {})}
    for setting, options in SETTINGS.items():
        own = blur.clone()  # which keeps the options of its latest call
        calls["Blur", setting] = lambda own=own, options=options: call(own, options)
    gamma = math.inf if step == "A_dagger" else GAMMA
    found = {key: slope(blur, run(), y, gamma) for key, run in calls.items()}
    seconds = interleaved(calls, args.seconds, rounds=2, taken=of_processor)
    for key in calls:
        yield (
            name,
            padding,
            step,
            " ".join(filter_empty(key)),
            number(1e3 * seconds[key].least),
            f"{found[key]:.1e}",
        )


def filter_empty(words):
    return [f"({word})" if i else word for i, word in enumerate(words) if word]


def of_processor(call):
    start = time.process_time()
    call()
    return time.process_time() - start


def slope(blur, x, y, gamma):
    """The gradient at x over that at zero, in double precision."""
    double = blur.clone().double()
    x, y = x.double(), y.double()
    weight = 1.0 if math.isinf(gamma) else gamma
    first = weight * double.A_adjoint(y)
    own = 0.0 if math.isinf(gamma) else x
    gradient = weight * double.A_adjoint(double.A(x) - y) + own
    return float(gradient.norm() / first.norm())


def report(args, rows):
    heading = machine.heading(
        "Inverses of blurs in deepinv",
        machine.command(NAME),
        f"a color photograph of {args.size} x {args.size} pixels, float32; prox_l2 "
        f"with gamma = {GAMMA:g}, from zero",
        threads="1 thread",
        packages=("convinv", "deepinv", "torch", "numpy", "numba"),
    )
    text = (
        "Milliseconds of the processor, after a first call that sets up, and the norm "
        "of the gradient in double precision over that at zero"
    )
    names = "filter,padding,step,by,ms,gradient"
    return "\n\n".join([heading, section("Steps", text, names, rows)])


if __name__ == "__main__":
    main()
