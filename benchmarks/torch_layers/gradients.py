"""Time and memory of gradients through the inverse of a layer, beside other ways."""

import contextlib
import multiprocessing
import pathlib
from typing import NamedTuple

import numba
import torch
from torch.nn import functional

from convinv.interop.torch import conv_solve

from ..support.measure import clock, interleaved
from ..support.outcome import ABSENT, Claim, Outcome, Table
from ..support.quality import relative_error
from ..support.threads import one_torch_thread
from . import deepinv_peer
from .unrolled import unrolled

STEPS = 50
FORWARD, OURS, NEW = "forward", "conv_solve", "conv_solve, new weight"
UNROLLED, DEEPINV = f"{STEPS} unrolled steps", "deepinv, implicit"
BAR_FORWARD, BAR_UNROLLED = 3, 10  # times
SECONDS, ROUNDS = 0.5, 3  # of repetitions of a call


class Problem(NamedTuple):
    """A layer 3 -> 8 with 3x3 kernels, and what is to be inverted, float32."""

    size: int
    batch: int
    damp: float

    def __str__(self):
        return f"{self.size}x{self.size}, batch {self.batch}, damp {self.damp:g}"

    def data(self):
        """``(x, y, weight, g)``, the last what the gradients begin with."""
        generator = torch.Generator().manual_seed(0)
        x = torch.rand(self.batch, 3, self.size, self.size, generator=generator)
        weight = torch.randn(8, 3, 3, 3, generator=generator) / 27**0.5
        y = functional.conv2d(x, weight)
        return x, y, weight, torch.randn(x.shape, generator=generator)


PROBLEMS = [Problem(*p, damp) for p in ((64, 100), (256, 8)) for damp in (0.0, 0.1)]
QUICK = [Problem(16, 4, 0.1)]


def run(quick, folders=None):
    """Tables of time, memory and errors."""
    problems = QUICK if quick else PROBLEMS
    with one_thread():
        found = {p: measured(p, 0.1 if quick else SECONDS) for p in problems}
    grown = {
        p: {name: growth(p, name) for name in (OURS, UNROLLED)}
        for p in problems
        if p.damp
    }
    tables = [time_table(found), memory_table(found, grown), error_table(found)]
    notes = [] if deepinv_peer.installed() else ["deepinv is not installed."]
    return Outcome(tables, claims(found), notes, {})


@contextlib.contextmanager
def one_thread():
    """For the kernels of PyTorch and of convinv: more wait for each other."""
    before = numba.get_num_threads()
    numba.set_num_threads(1)
    try:
        with one_torch_thread():
            yield
    finally:
        numba.set_num_threads(before)


def solvers(problem):
    """Functions of y and the weight that are differentiated, by their names."""
    shape, damp = (3, problem.size, problem.size), problem.damp
    found = {
        OURS: lambda y, weight: conv_solve(y, weight, shape, damp=damp),
        UNROLLED: lambda y, weight: unrolled(y, weight, damp, STEPS),
    }
    if deepinv_peer.installed():
        found[DEEPINV] = lambda y, weight: deepinv_peer.solved(y, weight, shape, damp)
    return found


def gradients(solver, y, weight, g):
    """x, and the gradients of ``<g, x>`` by y and the weight."""
    leaves = [t.detach().clone().requires_grad_() for t in (y, weight)]
    x = solver(*leaves)
    (x * g).sum().backward()
    return [x.detach(), *(leaf.grad for leaf in leaves)]


class Measured(NamedTuple):
    """Seconds by call; bytes that are saved and relative errors by way."""

    seconds: dict
    saved: dict
    errors: dict


def measured(problem, seconds):
    """All of a problem; the slow ways run once."""
    _, y, weight, g = problem.data()
    ways = solvers(problem)
    ours, changed = ways[OURS], weight.clone()

    def new_weight():
        changed.mul_(1 + 2**-20)  # another one to the store of operators
        return gradients(ours, y, changed, g)

    def forward():
        with torch.no_grad():
            return ours(y, weight)

    calls = {
        FORWARD: forward,
        OURS: lambda: gradients(ours, y, weight, g),
        NEW: new_weight,
    }
    times = {name: t.least for name, t in interleaved(calls, seconds).items()}
    exact = gradients(ours, y.double(), weight.double(), g.double())
    saved, errors = {}, {}
    for name, solver in ways.items():
        with keeping() as kept:
            taken, values = clock(lambda solver=solver: gradients(solver, y, weight, g))
        times[name] = min(times.get(name, taken), taken)
        saved[name] = sum(size for _, size in kept.values())
        errors[name] = list(map(relative_error, values, exact))
    return Measured(times, saved, errors)


@contextlib.contextmanager
def keeping():
    """A dict of the tensors that are saved for backward passes, with their bytes."""
    kept = {}

    def pack(tensor):
        storage = tensor.untyped_storage()
        kept[storage.data_ptr()] = tensor, storage.nbytes()  # so that none is freed
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(pack, lambda tensor: tensor):
        yield kept


def growth(problem, name):
    """Bytes by which a new process grows at its first gradients."""
    context = multiprocessing.get_context("spawn")
    with context.Pool(1) as pool:
        return pool.apply(_growth, (problem, name))


def _growth(problem, name):
    _, y, weight, g = problem.data()
    small = Problem(16, 2, problem.damp)
    _, *rest = small.data()
    gradients(solvers(small)[name], *rest)  # what is loaded and compiled once
    before = resident("VmRSS")
    gradients(solvers(problem)[name], y, weight, g)
    return resident("VmHWM") - before


def resident(field):
    """Bytes of this process: now (VmRSS), or at most so far (VmHWM), on Linux.

    The record of `resource.getrusage` begins with that of the parent.
    """
    lines = pathlib.Path("/proc/self/status").read_text().splitlines()
    (line,) = (line for line in lines if line.startswith(f"{field}:"))
    return 1024 * int(line.split()[1])


def time_table(found):
    columns = FORWARD, OURS, NEW, UNROLLED, DEEPINV
    rows = []
    for problem, (t, _, _) in found.items():
        cells = [f"{1e3 * t[name]:.1f}" if name in t else ABSENT for name in columns]
        ratios = [t[OURS] / t[FORWARD]]
        ratios += [t[name] / t[OURS] if name in t else ABSENT for name in columns[3:]]
        rows.append([str(problem), *cells, *ratios])
    text = (
        "Milliseconds of forward and backward, by y and the weight, one thread: the "
        "shortest of conv_solve in turn, one run of the others; "
        "forward: the solve alone; new weight: one that has not been inverted before, "
        "as in training; then conv_solve over forward, and the others over conv_solve"
    )
    names = [c.replace(",", "") for c in columns]
    heads = [*names, "over forward", "unrolled over ours", "deepinv over ours"]
    return Table("Time", text, ",".join(["layer 3->8 3x3", *heads]), rows)


def memory_table(found, grown):
    columns = OURS, UNROLLED, DEEPINV
    kinds = [(p, "saved", m.saved) for p, m in found.items()]
    kinds += [(p, "grown", sizes) for p, sizes in grown.items()]
    rows = []
    for problem, kind, sizes in kinds:
        cells = [
            f"{sizes[name] / 2**20:.1f}" if name in sizes else ABSENT
            for name in columns
        ]
        ratio = sizes[UNROLLED] / max(sizes[OURS], 2**10)
        rows.append([str(problem), kind, *cells, ratio])
    text = (
        "MiB; saved: tensors that PyTorch keeps for backward, by its hooks; grown: "
        "growth of a new process's largest resident set, which has everything"
    )
    names = ",".join(c.replace(",", "") for c in columns)
    head = f"layer 3->8 3x3,what,{names},unrolled over ours"
    return Table("Memory", text, head, rows)


def error_table(found):
    rows = [
        [str(problem), name, *errors]
        for problem, m in found.items()
        for name, errors in m.errors.items()
    ]
    text = "Relative errors in float32, from conv_solve in float64"
    head = "layer 3->8 3x3,way,x,gradient by y,gradient by weight"
    return Table("Errors", text, head, rows)


def claims(found):
    timed, saved, errors = zip(*found.values())

    def least(name, over):
        return min(t[name] / t[over] for t in timed if name in t)

    slowest = max(t[OURS] / t[FORWARD] for t in timed)
    unrolled_time = least(UNROLLED, OURS)
    memory = min(s[UNROLLED] / s[OURS] for s in saved)
    worst = max(max(e[OURS]) for e in errors)
    claimed = [
        Claim(
            f"forward and backward take at most {BAR_FORWARD} times the forward solve",
            f"{slowest:.2f}",
            slowest <= BAR_FORWARD,
            soft=True,
        ),
        Claim(
            f"at least {BAR_UNROLLED} times faster than {UNROLLED}",
            f"{unrolled_time:.1f}",
            unrolled_time >= BAR_UNROLLED,
            soft=True,
        ),
        Claim(
            f"saves at most a tenth of the tensors that {UNROLLED} save",
            f"1/{memory:.0f}",
            memory >= BAR_UNROLLED,
        ),
        Claim("gradients have four digits in float32", f"{worst:.1e}", worst < 1e-4),
    ]
    if deepinv_peer.installed():
        ratio = least(DEEPINV, OURS)
        text = "faster than deepinv's implicit least squares"
        claimed.append(Claim(text, f"{ratio:.2f} times", ratio > 1, soft=True))
    return claimed
