"""ConvLinearOperator: a multi-channel convolution as a SciPy linear operator."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import DTypeLike
from scipy import sparse

from .. import kernels
from .._core.arrays import (
    INEXACT,
    check_device,
    host_array,
    namespace,
    settled,
    to_numpy,
    working_dtype,
)
from .._core.geometry import Geometry, make_geometry
from .._core.typing import AnyArray, ArrayInput, Padding, PerAxis, Shape
from .._core.validation import boolean
from ..kernels.products.routes import prepare
from ._base import ShapedOperator
from ._batches import check_out, checked_batch
from ._kernel_sources import kernel_and_options
from ._options import LayerOptions
from ._sparse_rows import sparse_rows


class ConvLinearOperator(LayerOptions, ShapedOperator):
    """A multi-channel convolution layer as a linear operator, never formed.

    The map is the cross-correlation that neural networks call convolution: output
    channel ``o`` at ``i`` is the sum over input channels ``c`` of its group and taps
    ``u`` of ``kernel[o, c, u] * padded[c, stride * i + dilation * u]``.

    Parameters
    ----------
    kernel : array_like, shape (C_out, C_in // groups, *k)
        With one, two or three spatial axes; real or complex. It is copied. Its library
        (NumPy or CuPy) is the library of the arrays the operator takes. A complex
        kernel is not conjugated in the forward map. A tensor of PyTorch is read as it
        stands, and so is a layer (``nn.Conv1d``, 2d, 3d), whose options are taken as
        well.
    input_shape : tuple of int
        ``(C_in, *spatial)``.
    stride, dilation : int or sequence of int, optional
        One, or one per spatial axis. Default 1.
    padding : int, sequence, "valid" or "same", optional
        Samples added at either end of every axis: an int, one per axis, or ``(before,
        after)`` per axis (a 1-D operator takes ``((before, after),)``). "valid" is 0;
        "same" adds ``dilation * (k - 1)`` in total, the smaller half before, so that
        the output has the size of the input; it needs stride 1, and the error for
        another names the padding of ONNX's SAME_UPPER. Default 0.
    groups : int, optional
        Number of groups the channels are split into, each with its own kernels.
    boundary : {"zero", "periodic", "reflect", "symmetric", "replicate"}, optional
        How padded samples are made. The names mean what `numpy.pad` calls constant,
        wrap, reflect (edge not repeated), symmetric (edge repeated) and edge, also
        where the padding is wider than the image. Names of other libraries that can
        mean one of them alone are taken for it: "zeros", "constant", "fill";
        "circular", "wrap", "grid-wrap"; "mirror"; "symm", "grid-mirror"; "edge",
        "nearest". (The "reflect" of `scipy.ndimage` is "symmetric" here.)
    flip : bool, optional
        If true, flip the kernel along its spatial axes: a convolution in the
        mathematical sense.
    dtype : dtype, optional
        float32, float64, complex64 or complex128, nothing else. By default the
        kernel's, where half precision becomes float32 and integers become float64.

    Attributes
    ----------
    shape : tuple of int
        ``(m, n)`` with ``m = prod(output_shape)`` and ``n = prod(input_shape)``.
    input_shape, output_shape : tuple of int
        ``(C_in, *spatial)`` and ``(C_out, *spatial)``.
    kernel : array
        The kernel, in the operator's dtype. It can't be replaced: make a new operator.
    weights : array
        The correlation kernel that is applied: flipped if `flip` says so, and always
        with three spatial axes, ``(C_out, C_in // groups, kd, kh, kw)``.
    stride, dilation : tuple of int
        One for each spatial axis.
    padding : tuple of (int, int)
        ``(before, after)`` of each spatial axis.
    groups, boundary, flip
        As given; of `boundary` the first of its names above.
    options : dict
        These six: ``ConvLinearOperator(op.kernel, op.input_shape, **op.options)`` is
        the same operator.
    geometry : Geometry
        All integers that define the layer beside its kernel, for three spatial axes.
    H, T : LinearOperator
        The adjoint and the transpose.

    Raises
    ------
    TypeError, ValueError
        If an argument has the wrong type or the shapes do not fit, before any work.

    Notes
    -----
    A product has dtype ``result_type(op, x)``. The adjoint is exact for every
    combination of options. Building the operator costs nothing but a copy of the
    kernel. A product costs one multiplication per output sample and tap that is not
    zero. Where FFTs cost less it is done by these, and so are real layers with 3 x 3
    taps and 32 channels or more by Winograd's tiles on the CPU; the operator keeps the
    transforms of the kernel. Errors are then small relative to the largest number of
    a result, or of a tile, not to each.

    Examples
    --------
    >>> import numpy as np
    >>> from convinv import ConvLinearOperator
    >>> rng = np.random.default_rng(0)
    >>> kernel = rng.standard_normal((8, 3, 3, 3))
    >>> op = ConvLinearOperator(kernel, (3, 32, 32), padding="same")
    >>> op.output_shape, op.shape
    ((8, 32, 32), (8192, 3072))
    >>> x = rng.standard_normal((5, 3, 32, 32))
    >>> y = op.forward(x)
    >>> y.shape
    (5, 8, 32, 32)
    >>> bool(np.isclose(np.vdot(y, y), np.vdot(x, op.adjoint(y))))
    True
    """

    fused = True

    def __init__(
        self,
        kernel: ArrayInput,
        input_shape: Shape,
        *,
        stride: PerAxis = 1,
        padding: Padding = 0,
        dilation: PerAxis = 1,
        groups: int = 1,
        boundary: str = "zero",
        flip: bool = False,
        dtype: DTypeLike | None = None,
    ):
        kernel, options = kernel_and_options(
            kernel,
            {
                "stride": stride,
                "padding": padding,
                "dilation": dilation,
                "groups": groups,
                "boundary": boundary,
                "flip": flip,
            },
        )
        xp = namespace(kernel)
        array: AnyArray = kernel
        if xp is None:
            array, xp = host_array(kernel, "kernel"), np
        kernels.load("correlate", xp)  # refuses arrays of other libraries
        dtype = _operator_dtype(array, dtype)
        self._flip = boolean(options.pop("flip"), "flip")
        geometry = make_geometry(array.shape, input_shape, **options)
        array = settled(array.astype(dtype, order="C", copy=True), xp)
        self._set(array, geometry, xp)

    def _set(self, kernel, geometry: Geometry, xp):
        self.geometry, self.xp = geometry, xp
        if xp is np:
            kernel.flags.writeable = False
        self._kernel = kernel
        self._plans: dict = {}
        super().__init__(kernel.dtype, geometry.input_shape, geometry.output_shape)

    @property
    def layer(self) -> ConvLinearOperator:  # type: ignore[override]
        """The convolution itself; see ``ConvAdjoint``, which has one as well."""
        return self

    @property
    def convolutions(self) -> tuple:  # type: ignore[override]
        """The convolution alone."""
        return (self,)

    @property
    def weighted_convolutions(self) -> tuple:  # type: ignore[override]
        """The convolution alone, without weights."""
        return ((self, None),)

    def bare(self) -> ConvLinearOperator:
        """The same operator with nothing kept, which what is kept with it may hold."""
        return self.with_kernel(self.kernel)

    def _conjugated(self):
        """The layer with the complex conjugate kernel."""
        return self.with_kernel(self.kernel.conj())

    def _adjoint(self):
        return ConvAdjoint(self)

    def _transpose(self):
        if self.dtype.kind != "c":
            return ConvAdjoint(self)
        return ConvAdjoint(self.cached(("T",), self._conjugated), self)

    def with_kernel(self, kernel: AnyArray) -> ConvLinearOperator:
        """The same layer with another kernel, an array that is not copied."""
        return self._made(type(self), kernel)

    def _made(self, kind, kernel):
        op = object.__new__(kind)
        op._flip = self._flip
        op._set(kernel, self.geometry, self.xp)
        return op

    def __getstate__(self) -> dict[str, Any]:
        return {**super().__getstate__(), "_plans": {}}

    def __setstate__(self, state: dict[str, Any]) -> None:
        if "_options" in state:  # of a pickle that an earlier version made
            state = {**state, "_flip": state["_options"]["flip"]}
            del state["_options"]
        super().__setstate__(state)
        if self.xp is np:
            self.kernel.flags.writeable = False

    def __repr__(self) -> str:
        options = "".join(f", {k}={v!r}" for k, v in self._chosen().items())
        return (
            f"<ConvLinearOperator {self.input_shape} -> {self.output_shape}, kernel "
            f"{self.geometry.kernel_shape}{options}, dtype {self.dtype}>"
        )

    @property
    def kernel(self) -> AnyArray:
        """The kernel, in the operator's dtype."""
        return self._kernel

    @property
    def weights(self) -> AnyArray:
        """The correlation kernel that is applied, with three spatial axes."""
        kernel = self.kernel
        if self.flip:
            kernel = kernel[(..., *(slice(None, None, -1),) * self.geometry.ndim)]
        return kernel.reshape((*kernel.shape[:2], *self.geometry.kernel))

    def astype(self, dtype: DTypeLike) -> ConvLinearOperator:
        """The operator with its kernel in another dtype."""
        dtype = _operator_dtype(self.kernel, dtype)
        if dtype == self.dtype:
            return self
        return self.cached(
            ("astype", dtype.name),
            lambda: self.with_kernel(self.kernel.astype(dtype)),
        )

    def scaled(self, factor: complex) -> ConvLinearOperator:
        """The convolution with its kernel times a number."""
        kernel = self.kernel * factor
        return self.with_kernel(kernel.astype(working_dtype(kernel.dtype, "factor")))

    def plan(self, dtype: np.dtype) -> Any:
        """The prepared products with data of `dtype`, which are kept."""
        check_device(self.kernel, "the operator")
        plan = self._plans.get(dtype)
        if plan is None:
            weights = self.weights.astype(dtype, copy=False)
            weights = self.xp.ascontiguousarray(weights)
            plan = settled(prepare(weights, self.geometry, self.xp), self.xp)
            self._plans[dtype] = plan
        return plan

    def apply(
        self, X: AnyArray, *, out: AnyArray | None = None, sumsq: bool = False
    ) -> Any:
        X = checked_batch(X, "X", self.input_shape)
        return self._product("forward", X, self.output_shape, out, sumsq)

    def apply_adjoint(
        self, Y: AnyArray, *, out: AnyArray | None = None, sumsq: bool = False
    ) -> Any:
        Y = checked_batch(Y, "Y", self.output_shape)
        return self._product("adjoint", Y, self.input_shape, out, sumsq)

    def _product(self, name, array, given, out, sumsq):
        """One product with a batch; with `sumsq` also the squared norm of each item."""
        xp = self.xp
        dtype = np.result_type(self.dtype, working_dtype(array.dtype, "the operand"))
        batch, *taken = array.shape
        array = xp.ascontiguousarray(array.astype(dtype, copy=False))
        array = array.reshape((batch, *_three(taken)))
        if out is not None:
            check_out(out, (batch, *given), dtype)
            out = out.reshape((batch, *_three(given)))
        result, sums = getattr(self.plan(dtype), name)(array, sumsq, out)
        result = result.reshape((batch, *given))
        return (result, sums) if sumsq else result

    def tosparse(self) -> sparse.csr_array:
        """The matrix of the operator.

        Returns
        -------
        scipy.sparse.csr_array, shape (m, n)
            A private copy in the operator's dtype, on the host. It has up to
            ``C_in // groups * prod(k)`` entries in each of its ``m`` rows.
        """
        rows = np.arange(self.shape[0])
        matrix = sparse_rows(self.geometry, to_numpy(self.weights), rows)
        matrix.sum_duplicates()
        return matrix

    def todense(self) -> AnyArray:
        """The matrix of the operator as a dense array of its library."""
        return self.xp.asarray(self.tosparse().toarray())


def kernel_of(layer: ConvLinearOperator, weights: AnyArray) -> AnyArray:
    """The kernel of a layer that would have these weights."""
    kernel = weights.reshape(layer.geometry.kernel_shape)
    if layer.flip:
        kernel = kernel[(..., *(slice(None, None, -1),) * layer.geometry.ndim)]
    return layer.xp.ascontiguousarray(kernel)


class ConvAdjoint(LayerOptions, ShapedOperator):
    """The adjoint of a convolution: what networks call a transposed convolution.

    Attributes
    ----------
    layer : ConvLinearOperator
        The convolution, which keeps all set-ups. `kernel`, `options` and the options
        one by one are the layer's.
    """

    fused = True

    def __init__(self, layer, transposed=None):
        self.layer, self.xp = layer, layer.xp
        self._transposed = transposed  # whose transpose it was made as
        super().__init__(layer.dtype, layer.output_shape, layer.input_shape)

    def __repr__(self):
        return f"<adjoint of {self.layer!r}>"

    @property
    def kernel(self):
        """The kernel of the layer."""
        return self.layer.kernel

    def astype(self, dtype):
        """The operator with its kernel in another dtype."""
        layer = self.layer.astype(dtype)
        return self if layer is self.layer else ConvAdjoint(layer)

    def scaled(self, factor):
        """The adjoint of the convolution with its kernel times a number."""
        return ConvAdjoint(self.layer.scaled(factor.conjugate()))

    def cached(self, key, make):
        """What ``make()`` gives, kept with the layer under a key of the adjoint's own.

        Parameters
        ----------
        key : tuple
            Its first entry is the kind of set-up.
        make : callable

        Returns
        -------
        object
        """
        return self.layer.cached((*key, "adjoint"), make)

    @property
    def cached_keys(self) -> list:
        """The keys of what is kept with the layer."""
        return self.layer.cached_keys

    def bare(self):
        """The same operator of a layer with nothing kept."""
        return ConvAdjoint(self.layer.bare())

    def apply(self, X, *, out=None, sumsq=False):
        X = checked_batch(X, "X", self.input_shape)
        return self.layer.apply_adjoint(X, out=out, sumsq=sumsq)

    def apply_adjoint(self, Y, *, out=None, sumsq=False):
        Y = checked_batch(Y, "Y", self.output_shape)
        return self.layer.apply(Y, out=out, sumsq=sumsq)

    def _adjoint(self):
        return self.layer

    def _transpose(self):
        if self.dtype.kind != "c":
            return self.layer
        if self._transposed is not None:
            return self._transposed
        return self.layer.cached(("T",), self.layer._conjugated)

    def tosparse(self):
        """The matrix of the operator, as `ConvLinearOperator.tosparse` gives it."""
        matrix = self.layer.tosparse().conj().T.tocsr()
        matrix.sort_indices()
        return matrix

    def todense(self):
        """The matrix of the operator as a dense array of its library."""
        return self.xp.asarray(self.tosparse().toarray())


def _operator_dtype(kernel, dtype):
    found = working_dtype(kernel.dtype, "kernel")
    if dtype is None:
        return found
    wanted = working_dtype(dtype, "dtype")
    if np.dtype(dtype).newbyteorder("=") not in INEXACT:
        raise TypeError(
            "dtype must be float32, float64, complex64 or complex128, got "
            f"{np.dtype(dtype)}"
        )
    if found.kind == "c" and wanted.kind != "c":
        raise TypeError(
            f"dtype {wanted} can't hold the complex kernel (dtype {kernel.dtype}); "
            "take its real part first if that is what you want"
        )
    return wanted


def _three(shape):
    """A (C, *spatial) shape with three spatial axes."""
    return (shape[0], *(1,) * (4 - len(shape)), *shape[1:])
