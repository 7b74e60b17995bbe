"""How long a first solve takes, with an empty cache of compiled kernels and a warm one.

Run from the repository's root::

    python -m benchmarks.first_call

Every solve runs in a process of its own, the first with an empty folder for numba's
cache, the second with what the first has left there. Seconds of the processor are told
too, which do not depend on what else runs. ``--functions`` adds the functions that were
compiled and the seconds of each, without those that it calls; ``--output`` writes the
tables to a file.
"""

import argparse
import json
import os
import pathlib
import subprocess
import sys
import tempfile
import time

from .support import machine  # no module here imports convinv, which is timed
from .support.results import show
from .support.tables import section

METHODS = ("cgls", "gmres", "schwarz", "direct", "lsmr", "cg", "kaczmarz", "auto")
LAYERS = {  # kernel shape, options
    "3->8": ((8, 3, 3, 3), {}),
    "3->3": ((3, 3, 3, 3), {"padding": "same"}),
    "32->32": ((32, 32, 3, 3), {}),
    "blur": ((1, 1, 5, 5), {"padding": "same", "boundary": "symmetric"}),
}


def main(argv=None):
    args = parse(argv)
    if args.child:
        print(json.dumps(measured(*args.child)))
        return
    rows, compiled = [], {}
    for method in args.methods:
        with tempfile.TemporaryDirectory() as folder:
            first, again = (child(method, args, folder) for _ in range(2))
        rows.append((method, first["seconds"], first["cpu"], again["seconds"]))
        compiled[method] = first["functions"]
        print(f"{method}: {first['seconds']:.1f} s, then {again['seconds']:.2f} s",
              file=sys.stderr, flush=True)  # fmt: skip
    show(report(args, rows, compiled), args.output)


def parse(argv):
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.first_call", description=__doc__.split("\n")[0]
    )
    parser.add_argument("methods", nargs="*", default=METHODS, metavar="method")
    parser.add_argument("--layer", choices=LAYERS, default="3->8")
    parser.add_argument("--dtype", default="float64")
    parser.add_argument("--size", type=int, default=64, help="of the image's sides")
    parser.add_argument("--functions", action="store_true", help="what was compiled")
    parser.add_argument("--output", type=pathlib.Path, help="file of the tables")
    parser.add_argument("--child", nargs=4, help=argparse.SUPPRESS)
    return parser.parse_args(argv)


def child(method, args, folder):
    """What a new process measures, with its cache in a folder."""
    command = [sys.executable, "-m", "benchmarks.first_call"]
    command += ["--child", method, args.layer, args.dtype, str(args.size)]
    environment = {**os.environ, "NUMBA_CACHE_DIR": folder}
    root = pathlib.Path(__file__).parents[1]
    options = {"cwd": root, "env": environment, "stdout": subprocess.PIPE}
    done = subprocess.run(command, **options, text=True, check=True)
    return json.loads(done.stdout.splitlines()[-1])


def measured(method, layer, dtype, size):
    """Seconds from ``import convinv`` to the solution, and of every function."""
    start, cpu = time.perf_counter(), time.process_time()
    import numpy as np

    import convinv

    shape, options = LAYERS[layer]
    rng = np.random.default_rng(0)
    kernel = rng.standard_normal(shape)
    if layer != "3->8":  # far from singular
        kernel[(*np.diag_indices(shape[0]), *(k // 2 for k in shape[2:]))] += 20
    kernel = kernel.astype(dtype)
    recorder = record()
    op = convinv.ConvLinearOperator(kernel, (shape[1], int(size), int(size)), **options)
    b = op.forward(rng.random(op.input_shape).astype(dtype))
    b = b.astype(op.dtype)
    if method == "cg":
        b = op.adjoint(b)
        op = op.H @ op
    normal = {"normal": True} if method == "gmres" and layer == "3->8" else {}
    result = convinv.solve(op, b, method, rtol=1e-3, **normal)
    seconds, cpu = time.perf_counter() - start, time.process_time() - cpu
    assert result.success, result
    return {"seconds": seconds, "cpu": cpu, "functions": recorder()}


def record():
    """Listen to numba's compiler; what is returned gives (name, seconds) by seconds."""
    from numba.core import event

    class Recorder(event.Listener):
        def __init__(self):
            self.open, self.own = [], []

        def on_start(self, what):
            self.open.append([time.process_time(), 0.0])

        def on_end(self, what):
            start, inner = self.open.pop()
            seconds = time.process_time() - start
            name = what.data["dispatcher"].py_func.__name__
            self.own.append((name, seconds - inner))
            if self.open:
                self.open[-1][1] += seconds

    recorder = Recorder()
    event.register("numba:compile", recorder)
    return lambda: sorted(recorder.own, key=lambda item: -item[1])


def report(args, rows, compiled):
    heading = machine.heading(
        "First calls",
        machine.command("first_call"),
        f"seconds from `import convinv` to the solution, layer {args.layer}, "
        f"{args.dtype}, {args.size} x {args.size}",
    )
    table = [(name, f"{a:.1f}", f"{b:.1f}", f"{c:.2f}") for name, a, b, c in rows]
    columns = "method,empty cache s,of the processor s,warm cache s"
    text = "Every solve in a new process"
    parts = [heading, section("Seconds", text, columns, table)]
    for name in compiled if args.functions else ():
        table = [(f"`{f}`", f"{s:.2f}") for f, s in compiled[name] if s >= 0.05]
        text = f"{len(compiled[name])} specializations were compiled"
        parts.append(section(f"Compiled for {name}", text, "function,seconds", table))
    return "\n\n".join(parts)


if __name__ == "__main__":
    main()
