"""CuPy's calls of CUDA's runtime and driver, led to the fake device.

The two modules that make these calls export C functions to the rest of CuPy, as
capsules named by their signatures. The library of the fake device has functions of the
same signatures, called ``cuda_`` and the name. They replace those in the capsules and
those that Python sees.
"""

import ctypes
import re

C_TYPES = {
    "PyObject *": ctypes.py_object,
    "intptr_t": ctypes.c_ssize_t,
    "size_t": ctypes.c_size_t,
    "int": ctypes.c_int,
    "unsigned int": ctypes.c_uint,
    "float": ctypes.c_float,
}
_KEPT = []  # names of capsules, which have no memory of their own for them


def replace(library):
    import cupy_backends.cuda.api.driver as driver
    import cupy_backends.cuda.api.runtime as runtime

    start = library.dry_start
    start.argtypes = [ctypes.py_object] * 3
    classes = (
        runtime.CUDARuntimeError,
        driver.CUDADriverError,
        runtime.PointerAttributes,
    )
    _KEPT.extend(classes)
    start(*classes)
    for module in runtime, driver:
        for name, capsule in module.__pyx_capi__.items():
            if hasattr(library, f"cuda_{name}"):
                _replace(module, name, capsule, getattr(library, f"cuda_{name}"))


def _replace(module, name, capsule, function):
    signature = _name_of(capsule)
    address = ctypes.cast(function, ctypes.c_void_p).value
    _KEPT.append(signature)
    module.__pyx_capi__[name] = _new(address, signature, None)
    result, parameters = re.fullmatch(
        r"(.*?)\s*\(((?:[^()]|\([^)]*\))*)\)", signature.decode()
    ).groups()
    parameters = [p for p in parameters.split(", ") if "skip_dispatch" not in p]
    setattr(module, name, _wrapper(address, result, parameters))


def _wrapper(address, result, parameters):
    """The function as Python calls it."""
    kinds = [C_TYPES.get(p, ctypes.c_void_p) for p in parameters if p != "void"]
    given = [kind for kind in kinds if kind is not ctypes.c_void_p]
    returned = C_TYPES.get(result, ctypes.py_object)
    # behind the parameters: CuPy's flag, or structures of optional ones, left out
    call = ctypes.PYFUNCTYPE(returned, *given, ctypes.c_ssize_t, ctypes.c_void_p)(
        address
    )
    return lambda *args: call(*args, 0, None)


_name_of = ctypes.pythonapi.PyCapsule_GetName
_name_of.restype, _name_of.argtypes = ctypes.c_char_p, [ctypes.py_object]
_new = ctypes.pythonapi.PyCapsule_New
_new.restype = ctypes.py_object
_new.argtypes = [ctypes.c_void_p, ctypes.c_char_p, ctypes.c_void_p]
