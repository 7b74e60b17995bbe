"""Vectors of numbers in LLVM code, for loops that compiled arrays do not allow.

A loop over arrays does not tell the compiler that they do not overlap, which it needs
to know to keep sums in registers.
"""

import llvmlite.binding
import llvmlite.ir as ir
from numba.core import cgutils


def _register_bytes():
    features = llvmlite.binding.get_host_cpu_features()
    if features.get("avx512f"):
        return 64
    return 32 if features.get("avx") else 16


REGISTER_BYTES = _register_bytes()


class Vectors:
    """Emits code for vectors that fill a register, of the items of a numba type.

    Pointers and positions are values in the code; positions count items.
    """

    def __init__(self, context, builder, kind):
        self.builder = builder
        self.scalar = context.get_value_type(kind)
        self.itemsize = context.get_abi_sizeof(self.scalar)
        self.lanes = REGISTER_BYTES // self.itemsize
        self.vector = ir.VectorType(self.scalar, self.lanes)

    def index(self, value):
        """An integer constant."""
        return ir.Constant(ir.IntType(64), value)

    def after(self, position, k):
        """The position `k` vectors further."""
        return self.builder.add(position, self.index(k * self.lanes))

    def item(self, array, position):
        return self.builder.load(self.builder.gep(array, [position]))

    def _at(self, array, position):
        p = self.builder.gep(array, [position])
        return self.builder.bitcast(p, self.vector.as_pointer())

    def load(self, array, position):
        return self.builder.load(self._at(array, position), align=self.itemsize)

    def store(self, value, array, position):
        self.builder.store(value, self._at(array, position), align=self.itemsize)

    def constant(self, value):
        return ir.Constant(self.vector, [float(value)] * self.lanes)

    def splat(self, value):
        """A vector that holds one number in all places."""
        undefined = ir.Constant(self.vector, ir.Undefined)
        zero = ir.Constant(ir.IntType(32), 0)
        lane = self.builder.insert_element(undefined, value, zero)
        return self.shuffle(lane, undefined, [0] * self.lanes)

    def shuffle(self, one, other, places):
        """The items at `places`; those of `other` follow those of `one`."""
        mask = ir.Constant(ir.VectorType(ir.IntType(32), len(places)), list(places))
        return self.builder.shuffle_vector(one, other, mask)

    def multiply_add(self, a, b, c):
        """``a b + c``."""
        name = f"llvm.fmuladd.v{self.lanes}f{8 * self.itemsize}"
        kind = ir.FunctionType(self.vector, [self.vector] * 3)
        function = cgutils.get_or_insert_function(self.builder.module, kind, name)
        return self.builder.call(function, [a, b, c])
