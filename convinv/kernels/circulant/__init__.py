"""A matrix at every frequency of a torus, applied to grids.

Contract
--------
``prepare(blocks, torus, dtype)`` -> plan. ``blocks`` is a host array of shape
``(groups, p, q, *frequencies)``, complex128: the ``p x q`` matrix of each group at
every frequency of a torus of three axes. ``dtype`` is that of the data: float32 or
float64, whose frequencies are those of `numpy.fft.rfftn`, or complex64 or complex128,
whose frequencies are those of `numpy.fft.fftn`. The plan has the attributes ``torus``,
``dtype``, ``groups``, ``shape`` (``(p, q)``) and ``nbytes``; it is not changed by use.

``apply(plan, v, grid=None, out=None)`` -> array ``(B, groups, p, *grid)``, new or
``out``. ``v`` has shape ``(B, groups, q, *size)``, C-contiguous, no axis longer than
the torus. It is extended by zeros to the torus, transformed, multiplied at each
frequency, transformed back (as `numpy.fft.irfftn` does it for real data) and cropped to
``grid``, by default ``size``. ``v`` is not modified.

``apply_parts(plan, v, out, parts)`` -> None. Applies pieces of ``v``, ``(B, groups, c,
*size)``, and writes pieces of the results into ``out``, ``(B, groups, e, *size)``, both
of any strides: each of ``parts`` (`arguments.Part`) says which, and in which of the
phases, c of the q channels and e of the p. Parts must write to disjoint places. On an
axis where the torus has length 1, a part may take any number of cells: the blocks are
applied to each.

``apply_tiles(plan, v, core, halo)`` -> new array ``(B, groups, p, *size)``: `v`, cut
into tiles of ``core`` cells per axis (the last may have less), each applied by itself
with the up to ``halo`` cells of `v` around it, and the cells around it dropped after.
A tile with its halo must fit the torus.

``scratch_bytes(groups, shape, torus, dtype, batch)`` -> int: a bound of the memory that
applying a plan of this ``shape`` ``(p, q)`` takes for a batch, besides arguments,
results and the plan.
"""
