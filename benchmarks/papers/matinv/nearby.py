"""One set-up for kernels that drift: bounds, measured contractions and times."""

import numpy as np

from convinv import ConvLinearOperator, gallery, solve
from convinv.local_inverse import NearbyPreconditioner
from convinv.precondition import Schwarz

from ...support.measure import clock
from ...support.outcome import Claim, Outcome, Table
from ...support.quality import relative_error

CHANGES = (0.0, 1e-4, 1e-3, 1e-2, 3e-2, 1e-1)
RTOL = 1e-8


def layers(quick):
    """``{name: operator of a kernel's change}``, relative to the kernel's norm."""
    size = 24 if quick else 128
    cases = {
        "3->8 3x3": (gallery.conv_layer(3, 8, rng=0), (3, size, size), {}),
        "3->3 3x3 near the identity": (
            near_identity(3), (3, size, size), {"padding": "same"},
        ),
        "blur 7x7, damp 0.01": (
            gallery.gaussian_kernel(7, 1.0)[None, None],
            (1, size, size),
            {"padding": "same"},
        ),
    }  # fmt: skip
    for name, (kernel, shape, options) in cases.items():
        change = np.random.default_rng(3).standard_normal(kernel.shape)
        change *= np.linalg.norm(kernel) / np.linalg.norm(change)

        def operator(part, kernel=kernel, change=change, shape=shape, options=options):
            return ConvLinearOperator(kernel + part * change, shape, **options)

        yield name, operator, 0.01 if "damp" in name else 0.0


def near_identity(channels):
    kernel = 0.1 * np.random.default_rng(2).standard_normal((channels, channels, 3, 3))
    kernel[range(channels), range(channels), 1, 1] += 1
    return kernel


def run(quick=False):
    rows, once, claims = [], [], []
    for name, operator, damp in layers(quick):
        reference = operator(0.0)
        made, prepared = clock(lambda: Schwarz(reference, damp))
        near = NearbyPreconditioner(prepared, rng=0)
        known, _ = clock(lambda: near.constants)
        for part in CHANGES:
            op = operator(part)
            b = op.forward(np.random.default_rng(4).random(op.input_shape))
            told, found = least(lambda: near.contraction(op, steps=3))
            call = {"method": "cgls", "damp": damp, "rtol": RTOL}
            old, result = least(lambda: solve(op, b, preconditioner=near, **call))
            fresh, anew = least(
                lambda: solve(op, b, preconditioner=Schwarz(op, damp), **call)
            )
            plain, none = least(lambda: solve(op, b, **call))
            rows.append((name, part, found.distance, found.bound, found.measured,
                         "yes" if found.renew() else "no", result.nit, anew.nit,
                         none.nit, told, old, fresh, plain))  # fmt: skip
            claims += about(f"{name}, {part:g}", found, result, anew)
        once.append((name, made, known, *near.constants))
    return outcome(rows, once, claims)


def least(call, rounds=3):
    """The least seconds of some calls, and the last result."""
    timed = [clock(call) for _ in range(rounds)]
    return min(seconds for seconds, _ in timed), timed[-1][1]


def about(name, found, result, anew):
    """The measured contraction is below the bound, and the answers agree."""
    far = relative_error(result.x, anew.x)
    return [
        Claim(
            f"{name}: measured at most the bound, and the same answer as anew",
            f"{found.measured:.2e} for {found.bound:.2e}; answers {far:.1e} apart",
            found.measured <= found.bound and result.success and far < 1e-3,
        )
    ]


def outcome(rows, once, claims):
    columns = (
        "layer,change,distance,bound,measured,renew,steps,steps anew,steps without,"
        "measuring s,solve s,set-up and solve s,without s"
    )
    text = (
        "a kernel plus a random one of so much of its norm; distance: bound of the "
        "change's norm; contraction of the Schwarz preconditioner of the unchanged "
        "one, by the bound and by three Lanczos steps; iterations of CGLS to "
        f"{RTOL:g} with it, with one that is set up anew, and without any"
    )
    tables = [
        Table("Drift", text, columns, rows),
        Table(
            "Once for a set-up",
            "what the bound is made of: the norm of the preconditioner and its "
            "contraction for its own layer",
            "layer,set-up s,constants s,norm of M,own contraction",
            once,
        ),
    ]
    return Outcome(tables, claims, [], {})
