"""A GPU as the benchmarks ask for it, on the stand-in for CuPy, and small settings."""

import contextlib
import importlib
import json
import pathlib
import types

import numpy as np
import pytest
from scipy.sparse import linalg

PROPERTIES = {
    "name": b"Stand-in",
    "multiProcessorCount": 1,
    "totalGlobalMem": 2**30,
    "l2CacheSize": 2**20,
}


def runtime():
    return types.SimpleNamespace(
        getDeviceCount=lambda: 1,
        getDeviceProperties=lambda number: PROPERTIES,
        deviceGetPCIBusId=lambda number: "0000:00:00.0",
        driverGetVersion=lambda: 13000,
        runtimeGetVersion=lambda: 12090,
        memGetInfo=lambda: (2**30, 2**30),
    )


def pool():
    return types.SimpleNamespace(free_all_blocks=lambda: None)


def load(name):
    return importlib.import_module(f"benchmarks.gpu.{name}")


@contextlib.contextmanager
def device():
    """The stand-in, with what only the benchmarks ask a device for."""
    from .cuda_host import installed

    with installed() as module, pytest.MonkeyPatch.context() as patch:
        put = patch.setattr
        put(module.cuda, "runtime", runtime(), raising=False)
        put(module.Device, "compute_capability", "90", raising=False)
        put(module, "get_default_memory_pool", pool, raising=False)
        yield module


def small(cupy, patch):
    """``main`` with the smallest sizes that run everything."""
    main, products = load("__main__"), load("products")
    for name in load("device").EXACT:
        patch.setenv(name, "0")  # the command sets them, for good
    smallest = load("settings").QUICK._replace(
        array_bytes=20_000,
        copy_bytes=2**12,
        matrix=8,
        seconds=0.0,
        rounds=1,
        batches={12: 1},
        iterations=1,
        limit=0.0,  # of what is expected from smaller sizes: there are none
        strip={12: 2},
        cycle=(12, 3),
        cycles=(12, 3, 2),
        peers=(8, 2),
        checked=9,
        graphs=(12,),
    )
    layers = [(kind, layer._replace(size=16)) for kind, layer in products.LAYERS]
    patch.setattr(main, "QUICK", smallest)
    patch.setattr(products, "LAYERS", layers)
    patch.setattr(load("checks"), "STEPS", 2)
    patch.setattr(load("methods"), "LONG", 0.0)  # makes calls but once
    patch.setattr(load("peers"), "library", lambda: Peers(cupy))
    patch.setattr(load("graphs"), "FEW", 16)
    patch.setattr(load("graphs"), "MANY", 24)
    patch.setattr(load("profiler"), "load", lambda: (Profiler(), None))
    # parts in this process, as the stand-in is here only
    patch.setattr(load("apart"), "process", lambda words, _: main.main(words) and None)
    return lambda *argv: main.main(["--quick", *argv])


class Profiler:
    """The profiler of torch, which has always seen two kernels and a copy."""

    ProfilerActivity = types.SimpleNamespace(CUDA="CUDA")
    EVENTS = (
        {"cat": "kernel", "name": "a|b", "ts": 10.0, "dur": 4.0},
        {"cat": "kernel", "name": "c", "ts": 12.0, "dur": 1.0},
        {"cat": "gpu_memcpy", "name": "copy", "ts": 20.0, "dur": 2.0},
        {"cat": "cpu_op", "name": "mm", "ts": 0.0, "dur": 100.0},
        {"ph": "M", "name": "process_name"},
    )

    @contextlib.contextmanager
    def profile(self, activities):
        assert activities == ["CUDA"]
        yield self

    def export_chrome_trace(self, path):
        trace = json.dumps({"traceEvents": self.EVENTS})
        pathlib.Path(path).write_text(trace, encoding="utf-8")


class Peers:
    """SciPy's solvers under the names of CuPy's."""

    def __init__(self, cupy):
        self.cupy = cupy

    def LinearOperator(self, shape, matvec, rmatvec, dtype):
        put = self.cupy.asarray
        return linalg.LinearOperator(
            shape,
            matvec=lambda v: matvec(put(v)).get(),
            rmatvec=lambda v: rmatvec(put(v)).get(),
            dtype=dtype,
        )

    def lsmr(self, A, b, *, atol, btol, conlim, maxiter):
        limits = {"atol": atol, "btol": btol, "conlim": conlim, "maxiter": maxiter}
        with np.errstate(over="ignore"):
            return (self.cupy.asarray(linalg.lsmr(A, b.get(), **limits)[0]),)

    def cg(self, A, b, *, rtol, atol, maxiter):
        found = linalg.cg(A, b.get(), rtol=rtol, atol=atol, maxiter=maxiter)
        return self.cupy.asarray(found[0]), found[1]

    def gmres(self, A, b, *, rtol, atol, restart, maxiter):
        assert restart == maxiter  # CuPy counts steps here, SciPy cycles
        found = linalg.gmres(A, b.get(), rtol=rtol, atol=atol, restart=restart,
                             maxiter=1)  # fmt: skip
        return self.cupy.asarray(found[0]), found[1]


def written(folder):
    """The JSON, without numbers that JSON does not have, and the Markdown."""

    def refuse(word):
        raise AssertionError(f"{word} in the file")

    text = (folder / "gpu.json").read_text(encoding="utf-8")
    found = json.loads(text, parse_constant=refuse)
    return found, (folder / "gpu.md").read_text(encoding="utf-8")


def rows(found, name, table=0):
    """The rows of a part's table, as dicts."""
    table = found["parts"][name]["tables"][table]
    return [dict(zip(table["columns"].split(","), r)) for r in table["rows"]]
