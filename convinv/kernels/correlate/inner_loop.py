"""The register-blocked inner loop of every convolution on the CPU.

The layout of a small buffer of input rows takes care of padding, strides and complex
numbers. Then output row ``o`` of a convolution is a sum over taps of ``weight[tap, o]``
times the buffer shifted by ``offset[tap]``. The loop here computes a few output rows by
a few vectors of columns (``ROWS`` by ``VECTORS``) with all of them in registers, so
that a tap costs a few loads for many multiply-adds, for thin and thick layers alike. It
is written as LLVM vector code, because a loop over arrays does not tell the compiler
that the rows do not overlap.
"""

import functools

import llvmlite.ir as ir
import numpy as np
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic

from ..pointers import c_function, call
from .llvm_vectors import REGISTER_BYTES, Vectors

# Output rows and vectors of columns of one call at most, and registers.
ROWS, VECTORS, REGISTERS = (8, 4, 32) if REGISTER_BYTES == 64 else (4, 2, 16)
# Most vectors for each number of rows: the sums leave room for the vectors of a tap and
# a weight. With AVX-512 these are four for six rows, three for eight.
MOST = tuple(min(VECTORS, (REGISTERS - 1) // (rows + 1)) for rows in range(ROWS + 1))


def slack(itemsize: int) -> int:
    """Elements past a row's end that may be read and, when accumulating, written."""
    return VECTORS * (REGISTER_BYTES // itemsize)


@intrinsic(prefer_literal=True)
def block(
    typing, src, base, offsets, first, taps, weights, weight, dst, starts, rows,
    vectors, column, valid, add,
):  # fmt: skip
    """Compute `rows` output rows on `vectors` vectors of columns; arrays are pointers.

    `rows` is a constant of the compiled code, which has cases for all `vectors`.
    `valid` may exclude columns of the last vector only. Row ``o`` is written to
    ``dst[starts[o] + column:][:valid]``, or added to the values there if `add`, and is
    the sum over ``t < taps`` of ``weights[weight + t * rows + o]`` times
    ``src[base + offsets[first + t] + column:]``.
    """
    index = types.int64
    signature = types.void(
        src, index, offsets, index, index, weights, index, dst, starts, rows, index,
        index, index, types.boolean,
    )  # fmt: skip
    return signature, _switch


def _switch(context, builder, signature, args):
    """Branch to the code for the number of vectors asked for."""
    rows, vectors = signature.args[9].literal_value, args[10]
    done = builder.append_basic_block("done")
    switch = builder.switch(vectors, done)
    for v in range(1, MOST[rows] + 1):
        case = builder.append_basic_block(f"vectors{v}")
        switch.add_case(ir.Constant(ir.IntType(64), v), case)
        builder.position_at_end(case)
        _Block(context, builder, signature, args, rows, v).emit()
        builder.branch(done)
    builder.position_at_end(done)
    return context.get_dummy_value()


class _Block(Vectors):
    """Emits the code of `block` for one number of rows and vectors."""

    def __init__(self, context, builder, signature, args, rows, vectors):
        super().__init__(context, builder, signature.args[0].dtype)
        self.rows, self.vectors = rows, vectors
        self.src, self.offsets, self.weights = args[0], args[2], args[5]
        self.dst, self.starts = args[7:9]
        self.base, self.weight = args[1], args[6]
        self.first, self.taps = args[3:5]
        self.column, self.valid, self.add = args[11:14]

    def emit(self):
        builder = self.builder
        out = [
            builder.add(self.item(self.starts, self.index(o)), self.column)
            for o in range(self.rows)
        ]
        sums = [
            [cgutils.alloca_once(builder, self.vector) for _ in range(self.vectors)]
            for _ in range(self.rows)
        ]
        self._start(out, sums)
        self._accumulate(sums)
        whole = builder.icmp_signed(
            ">=", self.valid, self.index(self.vectors * self.lanes)
        )
        with builder.if_else(whole) as (full, partial):
            with full:
                for o, row in enumerate(sums):
                    for k, slot in enumerate(row):
                        place = self.after(out[o], k)
                        self.store(builder.load(slot), self.dst, place)
            with partial:
                self._store_partial(out, sums)

    def _start(self, out, sums):
        zero = self.constant(0)
        with self.builder.if_else(self.add) as (accumulate, fresh):
            with accumulate:
                for o, row in enumerate(sums):
                    for k, slot in enumerate(row):
                        old = self.load(self.dst, self.after(out[o], k))
                        self.builder.store(old, slot)
            with fresh:
                for row in sums:
                    for slot in row:
                        self.builder.store(zero, slot)

    def _accumulate(self, sums):
        builder = self.builder
        start = builder.add(self.base, self.column)
        with cgutils.for_range(builder, self.taps) as loop:
            tap = builder.add(self.first, loop.index)
            here = builder.add(start, self.item(self.offsets, tap))
            x = [self.load(self.src, self.after(here, k)) for k in range(self.vectors)]
            weight = builder.mul(loop.index, self.index(self.rows))
            weight = builder.add(self.weight, weight)
            for o, row in enumerate(sums):
                w = self.item(self.weights, builder.add(weight, self.index(o)))
                w = self.splat(w)
                for k, slot in enumerate(row):
                    total = self.multiply_add(w, x[k], builder.load(slot))
                    builder.store(total, slot)

    def _store_partial(self, out, sums):
        """Store the last vector's valid columns, and all other vectors whole."""
        builder, last = self.builder, self.vectors - 1
        kept = ir.ArrayType(self.scalar, self.lanes)
        kept = builder.bitcast(
            cgutils.alloca_once(builder, kept), self.scalar.as_pointer()
        )
        left = builder.sub(self.valid, self.index(last * self.lanes))
        for o, row in enumerate(sums):
            for k, slot in enumerate(row[:last]):
                self.store(builder.load(slot), self.dst, self.after(out[o], k))
            self.store(builder.load(row[last]), kept, self.index(0))
            here = self.after(out[o], last)
            with cgutils.for_range(builder, left) as loop:
                target = builder.gep(self.dst, [builder.add(here, loop.index)])
                builder.store(self.item(kept, loop.index), target)


def _for_rows(rows, most):
    """The loop for so many rows."""

    def correlate_rows(
        src, base, offsets, first, taps, weights, weight, dst, starts, width, repeat,
        src_step, dst_step, lanes, add,
    ):  # fmt: skip
        """Run `block` over `repeat` times `rows` rows of `width` columns.

        The next rows are `src_step` and `dst_step` further. Columns are processed in
        few blocks of about equal width. A block of columns goes down all rows, since
        the next row uses mostly the same input.
        """
        column = 0
        while column < width:
            left = width - column
            vectors = (left + lanes - 1) // lanes
            blocks = (vectors + most - 1) // most
            vectors = (vectors + blocks - 1) // blocks
            for k in range(repeat):
                down = k * dst_step
                block(
                    src, base + k * src_step - down, offsets, first, taps, weights,
                    weight, dst, starts, rows, vectors, column + down, left, add,
                )  # fmt: skip
            column += vectors * lanes

    return correlate_rows


@functools.cache
def _compiled(name, rows):
    numbers, index = types.CPointer(getattr(types, name)), types.int64
    indices = types.CPointer(index)
    signature = types.void(
        numbers, index, indices, index, index, numbers, index, numbers, indices,
        *[index] * 5, types.boolean,
    )  # fmt: skip
    return c_function(signature, _for_rows(rows, MOST[rows]))


def rows_addresses(dtype, block_start) -> np.ndarray:
    """Where the loop is for the rows of each block, to be called by `correlate_rows`.

    Called through a pointer, its code is compiled once and not again in every loop that
    uses it, and only for the numbers of rows that a layer has.
    """
    found = [_compiled(dtype.name, int(rows)).address for rows in np.diff(block_start)]
    return np.array(found, np.int64)


@intrinsic
def correlate_rows(
    typing, address, src, base, offsets, first, taps, weights, weight, dst, starts,
    width, repeat, src_step, dst_step, add,
):  # fmt: skip
    """Call the loop at an address with arrays."""
    index = types.int64
    signature = types.void(
        index, src, index, offsets, index, index, weights, index, dst, starts, index,
        index, index, index, types.boolean,
    )  # fmt: skip

    def generate(context, builder, signature, args):
        scalar = signature.args[1].dtype
        lanes = REGISTER_BYTES // context.get_abi_sizeof(context.get_value_type(scalar))
        kinds, values = list(signature.args[1:]), list(args[1:])
        kinds.insert(-1, index)
        values.insert(-1, ir.Constant(ir.IntType(64), lanes))
        return call(context, builder, args[0], kinds, values)

    return signature, generate
