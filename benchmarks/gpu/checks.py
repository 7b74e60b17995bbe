"""Whether the device computes what the CPU does; timings without that say nothing."""

import itertools

import numpy as np

import convinv
from convinv import ConvLinearOperator

from ..support.devices import placed
from ..support.outcome import Claim, Outcome, Table
from ..support.quality import largest_error
from ..support.quiet import quietly
from . import arrays, cases

# kernel, and options of the operator; images are one to three lines of pixels
LAYERS = {
    "3->8": ((8, 3, 3, 3), {}),
    "8->3, stride 2": ((3, 8, 3, 3), {"stride": 2, "padding": 1}),
    "1->1, 7x7, periodic": ((1, 1, 7, 7), {"padding": "same", "boundary": "periodic"}),
    "4->6, groups, dilation 2, reflect": (
        (6, 2, 3, 3),
        {"groups": 2, "dilation": 2, "padding": 2, "boundary": "reflect"},
    ),
    "2->5, 5x4, symmetric": (
        (5, 2, 5, 4),
        {"padding": ((3, 2), (1, 2)), "boundary": "symmetric", "stride": (1, 3)},
    ),
    "16->20, replicate": (
        (20, 16, 3, 3),
        {"padding": "same", "boundary": "replicate"},
    ),
    "64->64": ((64, 64, 3, 3), {"padding": 1}),
    "3->8, one axis": ((8, 3, 9), {"stride": 2}),
    "2->4, three axes": ((4, 2, 3, 3, 3), {"padding": 1}),
}
BATCH = 3
BOUNDS = {  # relative, of the products and of the dot test
    "float32": 1e-5,
    "float64": 1e-13,
    "complex64": 1e-5,
    "complex128": 1e-13,
}
SOLVE = 1e-6  # of x after iterations in double precision, which rounding drives apart
STEPS = 30  # enough for iterations to be captured as a graph, and replayed


def run(session, part):
    claims, rows, solves = [], [], []
    for name, dtype in itertools.product(LAYERS, BOUNDS):
        if not part.late(f"{name}, {dtype}"):
            with part.case(f"{name}, {dtype}"):
                found = products(session, *LAYERS[name], dtype)
                rows.append((name, dtype, *found.values()))
                for what, value in found.items():
                    title = f"{name}, {dtype}, {what}"
                    claims.append(within(title, value, BOUNDS[dtype]))
    listed = [m for m in convinv.methods() if m.objective == "least-squares"]
    for method in listed:
        if not part.late(method.name):
            with part.case(method.name):
                value = solved(session, method.name)
                solves.append((method.name, value))
                claims.append(within(f"{method.name}, x", value, SOLVE))
    tables = [
        Table(
            "Check of products",
            "Largest relative differences between the device and the CPU; dot test: "
            "<A x, y> and <x, A^H y> on the device",
            "layer,dtype,forward,adjoint,dot test",
            rows,
        ),
        Table(
            "Check of solves",
            f"Largest relative difference of x after {STEPS} iterations in float64",
            "method,difference",
            solves,
        ),
    ]
    return Outcome(tables, claims, [], {})


def products(session, shape, options, dtype):
    """Differences of both products of a layer, and the dot test on the device."""
    xp, size = session.xp, session.settings.checked
    host, x, y = layer(shape, options, dtype, size)
    device = ConvLinearOperator(xp.asarray(host.kernel), host.input_shape, **options)
    images, data = xp.asarray(x), xp.asarray(y)
    forward, adjoint = device.forward(images), device.adjoint(data)
    return {
        "forward": largest_error(forward.get(), host.forward(x)),
        "adjoint": largest_error(adjoint.get(), host.adjoint(y)),
        "dot test": dot_test(xp, images, adjoint, forward, data),
    }


def layer(shape, options, dtype, size):
    """An operator on the CPU and random data for both of its products."""
    rng = np.random.default_rng(0)

    def random(*shape):
        values = rng.standard_normal(shape)
        if np.dtype(dtype).kind == "c":
            values = values + 1j * rng.standard_normal(shape)
        return values.astype(dtype)

    axes = len(shape) - 2
    spatial = (size, 2 * size + 1, size // 2)[:axes] if axes < 3 else (9, size, 11)
    channels = shape[1] * options.get("groups", 1)
    op = ConvLinearOperator(random(*shape), (channels, *spatial), **options)
    return op, random(BATCH, *op.input_shape), random(BATCH, *op.output_shape)


def dot_test(xp, x, adjoint, forward, y):
    """``|<A x, y> - <x, A^H y>|``, relative to the norms."""
    wide = "complex128" if x.dtype.kind == "c" else "float64"
    x, adjoint, forward, y = (
        a.astype(wide).reshape(-1) for a in (x, adjoint, forward, y)
    )
    left, right = (forward.conj() * y).sum(), (x.conj() * adjoint).sum()
    scale = xp.sqrt((xp.abs(forward) ** 2).sum() * (xp.abs(y) ** 2).sum())
    return float(xp.abs(left - right) / scale)


def solved(session, method):
    """The difference after a few iterations, on a problem that the method takes."""
    xp = session.xp
    op = cases.operator(method, min(session.settings.checked, 24), "float64")
    x = arrays.images(np, 2, *op.input_shape[:2], "float64")
    b = op.forward(x)
    options = {"rng": 0, "rtol": 0, "maxiter": STEPS, **cases.OPTIONS.get(method, {})}
    expected = quietly(op, b, method, **options)
    found = quietly(placed(op, xp), xp.asarray(b), method, **options)
    return largest_error(found.x.get(), expected.x)


def within(title, value, bound):
    return Claim(f"{title}: within {bound:g}", f"{value:.1e}", value <= bound)
