"""A NumPy-backed stand-in for ``cupy``, with the manners that bite generic code.

* ``np.asarray(x)`` raises: nothing is copied from the device unasked;
* so does mixing with ``np.ndarray``; NumPy scalars are fine;
* reductions return 0-d arrays; ``float()``, ``bool()``, ``.item()`` and ``.get()`` wait
  for the device, so they are counted in ``SYNCS``;
* ``empty`` is full of NaN;
* ``RawModule`` runs the kernel source on the CPU, with guard cells around each array;
* what a stream captures is not run, but by the graph's launches (`fake_streams`).
"""

import os
import sys
import types

import numpy as np
import scipy.fft

from . import fake_blas, fake_streams
from .fake_streams import act, compute
from .host_module import FILL, HostRawModule

# threads of the kernels that spin while they wait starve each other on few cores
os.environ.setdefault("OMP_WAIT_POLICY", "passive")
SYNCS = 0
__version__ = "14.0.0+fake"


def _sync():
    global SYNCS
    fake_streams.refuse("a wait for the device")
    SYNCS += 1


class Device:
    """``with Device(n):`` makes device `n` current."""

    current = 0
    attributes = {"MultiProcessorCount": 3}

    def __init__(self, device=None):
        self.id = Device.current if device is None else int(device)

    def __enter__(self):
        self._before, Device.current = Device.current, self.id
        return self

    def __exit__(self, *_):
        Device.current = self._before

    def synchronize(self):
        _sync()


fake_streams.wait = _sync
cuda = types.SimpleNamespace(
    Device=Device,
    Event=fake_streams.Event,
    Graph=fake_streams.Graph,
    MemoryPool=fake_streams.MemoryPool,
    Stream=fake_streams.Stream,
    cublas=fake_blas,
    device=types.SimpleNamespace(get_cublas_handle=lambda: 1),
    get_current_stream=fake_streams.current,
    get_elapsed_time=fake_streams.get_elapsed_time,
    is_available=lambda: True,
    using_allocator=fake_streams.using_allocator,
)


def is_available():
    return True


class ndarray(np.lib.mixins.NDArrayOperatorsMixin):
    def __init__(self, a):
        self._a = np.asarray(a)
        self.device = Device()

    def __array__(self, *args, **kwargs):
        raise TypeError("Implicit conversion to a NumPy array is not allowed.")

    def __array_ufunc__(self, ufunc, method, *inputs, **kw):
        out = kw.get("out")
        if out is not None and len(out) == 1:
            kw["out"] = out[0]
        return _call(getattr(ufunc, method), inputs, kw)

    def __array_function__(self, func, types_, args, kw):
        return _call(func, args, kw)

    def __getattr__(self, name):
        if name.startswith("__") or name == "_a":
            raise AttributeError(name)
        v = getattr(self._a, name)
        if callable(v):
            return lambda *a, **k: _call(v, a, k, self._a)
        return _wrap(v) if isinstance(v, np.ndarray) else v

    @property
    def data(self):
        return types.SimpleNamespace(ptr=self._a.ctypes.data)

    def __getitem__(self, i):
        i = _un(i)
        return _wrap(compute(lambda: self._a[i], [self._a]))

    def __setitem__(self, i, v):
        i, v = _un(i), _un(v)
        act(lambda: self._a.__setitem__(i, v))

    def __len__(self):
        return len(self._a)

    def __iter__(self):
        return (self[i] for i in range(len(self)))

    def __repr__(self):
        return f"fake_cupy.{self._a!r}"

    def __matmul__(self, other):
        return _call(np.matmul, (self, other), {})

    def __rmatmul__(self, other):
        return _call(np.matmul, (other, self), {})

    def get(self):
        _sync()
        return self._a.copy()

    def item(self):
        _sync()
        return self._a.item()

    def tolist(self):
        _sync()
        return self._a.tolist()

    def __float__(self):
        return float(self.item())

    def __int__(self):
        return int(self.item())

    def __bool__(self):
        return bool(self.item())

    def __complex__(self):
        return complex(self.item())

    __index__ = __int__


def _un(x):
    if isinstance(x, ndarray):
        return x._a
    if isinstance(x, np.ndarray):
        raise TypeError(f"Unsupported type {type(x)}")
    if type(x) in (tuple, list):
        return type(x)(map(_un, x))
    return x


def _wrap(r):
    if isinstance(r, (np.ndarray, np.generic)):
        return ndarray(r)
    return tuple(map(_wrap, r)) if isinstance(r, tuple) else r


MUTATING = {"copyto", "fill", "fill_diagonal", "place", "put", "putmask", "sort"}


def _call(func, args, kw, owner=None):
    given = [_un(a) for a in args]
    named = {k: _un(v) for k, v in kw.items()}

    def do():
        return func(*given, **named)

    if kw.get("out") is not None:
        act(do)
        return kw["out"]
    name = getattr(func, "__name__", "")
    if name in MUTATING and (owner is not None or name != "sort"):
        return act(do)
    return _wrap(compute(do, [owner, *given, *named.values()]))


def _lift(v):
    if isinstance(v, type) or not callable(v):
        return v
    return lambda *a, **k: _call(v, a, k)


def _module(real, name):
    m = types.ModuleType(name)
    m.__getattr__ = lambda attr: _lift(getattr(real, attr))
    return m


linalg, fft = _module(np.linalg, "cupy.linalg"), _module(np.fft, "cupy.fft")
cupyx = types.ModuleType("cupyx")
cupyx.scipy = types.ModuleType("cupyx.scipy")
cupyx.scipy.fft = _module(scipy.fft, "cupyx.scipy.fft")


def __getattr__(name):
    return _lift(getattr(np, name))


def array(a, dtype=None, copy=True):
    if isinstance(a, ndarray):
        return _call(np.array, (a,), {"dtype": dtype})
    fake_streams.refuse("memory of the host")
    return ndarray(np.array(a, dtype=dtype))


def asarray(a, dtype=None):
    if isinstance(a, ndarray) and dtype in (None, a.dtype):
        return a
    return array(a, dtype)


def ascontiguousarray(a, dtype=None):
    if not isinstance(a, ndarray):
        raise TypeError(f"Argument 'a' has incorrect type, got {type(a).__name__}")
    a = asarray(a, dtype)
    return a if a.flags.c_contiguous else _call(np.ascontiguousarray, (a,), {})


def empty(shape, dtype=float):
    a = np.empty(shape, dtype)
    a.reshape(-1).view(np.uint8)[:] = FILL
    return ndarray(fake_streams.made(a))


def empty_like(a, dtype=None):
    return empty(a.shape, dtype or a.dtype)


def asnumpy(a):
    return a.get() if isinstance(a, ndarray) else np.asarray(a)


def get_array_module(*args):
    fake = any(isinstance(a, ndarray) for a in args)
    return sys.modules[__name__] if fake else np


def fuse(kernel_name):
    """The operations of a function one by one, where CuPy makes one kernel of them."""
    return lambda function: function


class RawModule:
    sanitize = None  # an argument for -fsanitize

    def __init__(self, *, code, options=()):
        self._module = HostRawModule(
            code=code, options=options, sanitize=RawModule.sanitize
        )

    def get_function(self, name):
        kernel = self._module.get_function(name)

        def launch(grid, block, args, *, shared_mem=0):
            host = []
            for a in args:
                if isinstance(a, np.ndarray):
                    raise TypeError(f"Unsupported type {type(a)}")
                if isinstance(a, ndarray):
                    if not a._a.flags.c_contiguous:  # CuPy would not notice
                        raise ValueError("a kernel got an array with gaps")
                    a = a._a
                host.append(a)
            act(lambda: kernel(grid, block, tuple(host), shared_mem=shared_mem))

        return launch
