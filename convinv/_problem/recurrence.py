"""Recurrences of coefficients, one for each item of a batch: on CuPy as one kernel."""

import dataclasses
import functools
import threading

import numpy as np

from .._core.arrays import cupy_module


def recurrence(work):
    """Let ``work(xp, ...)`` run as one kernel on CuPy arrays.

    `work` computes element by element with arrays of shape ``(B,)`` and returns None,
    an array, or a tuple of these. Its arguments are such arrays, floats, and
    dataclasses: it may read and set their fields, and those of dataclasses among them,
    that hold arrays of shape ``(B,)`` or floats. It may branch on arguments and fields
    that are None or bools, and on nothing else: other fields count as constants.

    `cupy.fuse` traces and compiles it, once for each of these branches. Elsewhere it is
    called as it stands.
    """
    kernels: dict = {}

    @functools.wraps(work)
    def run(xp, *args):
        if xp is np or xp is not cupy_module():
            return work(xp, *args)
        inputs, branches = [], [xp]
        for owner, name, value in _places(args):
            if isinstance(value, float) or isinstance(value, xp.ndarray):
                if getattr(value, "ndim", 1) == 1:  # not a vector of the batch
                    inputs.append((owner, name, value))
                    branches.append(name)
            elif value is None or isinstance(value, bool):
                branches.append((name, value))
        key = tuple(branches)
        if key not in kernels:
            kernels[key] = _Kernel(xp, work)
        return kernels[key](args, inputs)

    return run


def _places(args):
    """``(owner, name, value)`` of the arguments and of the fields of dataclasses."""
    for name, value in enumerate(args):
        if dataclasses.is_dataclass(value):
            yield from _fields(value)
        else:
            yield None, name, value


def _fields(owner):
    for name, value in vars(owner).items():
        if dataclasses.is_dataclass(value):
            yield from _fields(value)
        else:
            yield owner, name, value


class _Kernel:
    """One branch of a recurrence, compiled when it is first called."""

    def __init__(self, xp, work):
        self.xp, self.work = xp, work
        self.fused = xp.fuse(kernel_name=work.__name__.strip("_"))(self._trace)
        self.lock = threading.Lock()  # between the threads that might trace it

    def __call__(self, args, inputs):
        values = [value for _, _, value in inputs]
        with self.lock:
            self.args, self.inputs = args, inputs
            computed = self.fused(*values)
            self.args = self.inputs = None
        computed = computed if isinstance(computed, tuple) else (computed,)
        values += computed
        for place, source in self.changed.items():
            owner, name = inputs[place][:2]
            setattr(owner, name, values[source])
        values.append(None)
        returned = tuple(values[source] for source in self.returned)
        return returned if self.is_tuple else returned[0] if returned else None

    def _trace(self, *symbols):
        """The work done on symbols; notes where its results belong.

        Results are numbered behind the inputs; an input may be a result as it is.
        """
        args = list(self.args)
        for (owner, name, _), symbol in zip(self.inputs, symbols):
            if owner is None:
                args[name] = symbol
            else:
                setattr(owner, name, symbol)
        try:
            result = self.work(self.xp, *args)
            after = [
                symbol if owner is None else getattr(owner, name)
                for (owner, name, _), symbol in zip(self.inputs, symbols)
            ]
        finally:
            for owner, name, value in self.inputs:
                if owner is not None:
                    setattr(owner, name, value)
        self.is_tuple = isinstance(result, tuple)
        result = result if self.is_tuple else () if result is None else (result,)
        numbers = {id(symbol): number for number, symbol in enumerate(symbols)}
        numbers[id(None)] = -1  # may be among the results
        outputs = []
        for value in (*result, *after):
            if id(value) not in numbers:
                numbers[id(value)] = len(symbols) + len(outputs)
                outputs.append(value)
        self.returned = [numbers[id(value)] for value in result]
        self.changed = {
            place: numbers[id(value)]
            for place, (value, symbol) in enumerate(zip(after, symbols))
            if value is not symbol
        }
        return tuple(outputs)
