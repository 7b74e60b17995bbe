"""Pointers in compiled code: copies of memory, and calls of functions by their address.

A function that is called by its address is compiled once, on first use. A function that
is called by its name is compiled again into every caller; if it has many loops, that
takes most of the time of a first call.
"""

import llvmlite.ir as ir
import numba
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic

from .jit_cache import kept


def c_function(signature, function):
    """The function compiled for a signature; it has an ``address``."""
    with kept() as cache:
        return numba.cfunc(signature, cache=cache, error_model="numpy")(function)


def call(context, builder, address, kinds, values):
    """Emit the call of a function without a result; arrays go as their pointers."""
    values = [data(context, builder, kind, value) for kind, value in zip(kinds, values)]
    values = [  # a C bool has eight bits
        builder.zext(value, ir.IntType(8)) if value.type == ir.IntType(1) else value
        for value in values
    ]
    called = ir.FunctionType(ir.VoidType(), [value.type for value in values])
    builder.call(builder.inttoptr(address, called.as_pointer()), values)
    return context.get_dummy_value()


def called(context, builder, signature, args):
    """The code of an intrinsic that calls the address which is its first argument."""
    return call(context, builder, args[0], signature.args[1:], args[1:])


def data(context, builder, kind, value):
    """The data pointer of an array; other values as they are."""
    if isinstance(kind, types.Array):
        return context.make_array(kind)(context, builder, value).data
    return value


@intrinsic
def copy_run(typing, dst, at, src, of, count):
    """Copy `count` elements: ``dst[at:][:count] = src[of:][:count]``, no overlap."""
    index = types.int64
    signature = types.void(dst, index, src, index, index)

    def generate(context, builder, signature, args):
        dst, src = signature.args[0], signature.args[2]
        target = builder.gep(data(context, builder, dst, args[0]), [args[1]])
        source = builder.gep(data(context, builder, src, args[2]), [args[3]])
        itemsize = context.get_abi_sizeof(context.get_value_type(dst.dtype))
        cgutils.raw_memcpy(builder, target, source, args[4], itemsize)
        return context.get_dummy_value()

    return signature, generate
