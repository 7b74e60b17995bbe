"""Which array library an array belongs to.

CuPy is looked up in ``sys.modules`` and never imported: a CuPy array can only exist if
other code has imported CuPy.
"""

import sys

import numpy as np

INEXACT = tuple(map(np.dtype, ("float32", "float64", "complex64", "complex128")))


def cupy_module():
    """The cupy module if it is loaded, else None."""
    return sys.modules.get("cupy")


def namespace(array):
    """The library of `array`: numpy, cupy, or its array API namespace.

    Returns None for other objects (lists, scalars, ...).
    """
    if isinstance(array, np.ndarray):
        return np
    cupy = cupy_module()
    if cupy is not None and isinstance(array, cupy.ndarray):
        return cupy
    if hasattr(array, "__array_namespace__") and not isinstance(array, np.generic):
        return array.__array_namespace__()
    return None


def host_array(values, name: str) -> np.ndarray:
    """A NumPy array of an object of no known library; errors name the argument."""
    try:
        return np.asarray(values)
    except (ValueError, TypeError, RuntimeError) as error:
        if isinstance(values, (list, tuple)) and not hasattr(values, "__array__"):
            raise ValueError(
                f"{name} must be a regular array, got nested sequences of unequal "
                f"lengths or of other things than numbers ({error})"
            ) from None
        raise TypeError(
            f"{name} must be an array, got {type(values).__name__}, which NumPy can't "
            f"read ({error})"
        ) from None


def placement(array) -> dict:
    """The keyword that makes array API libraries allocate on the device of `array`."""
    xp = namespace(array)
    if xp is np or xp is cupy_module():
        return {}
    return {"device": array.device}


def check_device(array, name: str) -> None:
    """Refuse a CuPy array on another device than the current one.

    A kernel would read it there all the same, and take the device's context down.
    """
    cupy = cupy_module()
    if cupy is not None and isinstance(array, cupy.ndarray):
        here = cupy.cuda.Device().id
        if array.device.id != here:
            raise ValueError(
                f"{name} is on device {array.device.id}, but device {here} is current"
            )


def settled(made, xp):
    """What was `made` to be kept, after a wait for what CuPy has still to do for it.

    Whoever uses it next may work on another stream, which waits for nothing.
    """
    if xp is not None and xp is cupy_module():
        xp.cuda.get_current_stream().synchronize()
    return made


def copy(array):
    """A copy of `array`."""
    if hasattr(array, "copy"):
        return array.copy()
    return namespace(array).asarray(array, copy=True)


def contiguous(array):
    """`array` in C order, where its library knows orders."""
    xp = namespace(array)
    return xp.ascontiguousarray(array) if hasattr(xp, "ascontiguousarray") else array


def working_dtype(dtype, name: str) -> np.dtype:
    """The floating dtype that computes with `dtype`: promoted, never demoted."""
    try:
        dtype = np.dtype(dtype).newbyteorder("=")
    except TypeError:
        raise TypeError(f"{name} must have a numeric dtype, got {dtype!r}") from None
    if dtype in INEXACT:
        return dtype
    if dtype.kind in "biu":
        return np.dtype("float64")
    if dtype.name in ("float16", "bfloat16"):
        return np.dtype("float32")
    raise TypeError(
        f"{name} must be a boolean, integer, or float16/32/64 or complex64/128 array, "
        f"got dtype {dtype}"
    )


def to_numpy(array) -> np.ndarray:
    """A NumPy array with the values of `array`, wherever it lives."""
    if isinstance(array, np.ndarray):
        return array
    if hasattr(array, "get"):
        return array.get()
    try:
        return np.asarray(array)
    except RuntimeError:  # array API arrays on another device
        host = array.__array_namespace__().Device("CPU_DEVICE")
        return np.asarray(array.to_device(host))
