"""A convolution's kernel from pairs of its inputs and noisy outputs."""

from __future__ import annotations

import operator
import warnings
from dataclasses import dataclass
from typing import Any

import numpy as np

from .._core.arrays import contiguous, namespace, to_numpy, working_dtype
from .._core.blas_threads import one_blas_thread
from .._core.geometry import make_geometry
from .._core.plotting import axes
from .._core.typing import AnyArray, ArrayInput, Padding, PerAxis
from ..operators._convolution import ConvLinearOperator
from ._kernel_plot import draw_kernel
from ._normal_equations import gram, padded, right_sides
from ._pairs import library_arrays, power_of_two

REFINEMENTS = 3
EPS = 2.0**-52


@dataclass(frozen=True, repr=False, eq=False)
class KernelFit:
    """The result of `fit_kernel`.

    Attributes
    ----------
    op : ConvLinearOperator
        The layer with the estimated kernel, ready for `convinv.solve`.
    kernel : array, shape (C_out, C_in // groups, *k)
        The estimate, in the library and the working precision of the pairs.
    stderr : ndarray, shape (C_out, C_in // groups, *k)
        Standard deviation of every entry of the kernel due to the noise; infinite for
        entries that the pairs do not determine, NaN if the noise is unknown. The bias
        due to a damp, which pulls the kernel toward 0, is not included.
    noise : ndarray, shape (C_out,)
        Standard deviation of the noise in each output channel, estimated from the
        residual; NaN if there are no more equations than unknowns.
    condition : float
        Condition number of the matrix that maps a kernel to the outputs, with the damp:
        the largest ratio of the relative error of the kernel to that of the outputs.
        The largest over all groups, infinite if the kernel is not determined.
    singular_values : ndarray, shape (groups, unknowns)
        Of that matrix without damp, descending.
    rank : int
        The smallest number over all groups of kernel entries that are determined.
    unknowns, equations : int
        Entries of one filter, and output samples of one channel.
    residual_norm : float
        ``||y - A x||`` over all pairs.
    """

    op: ConvLinearOperator
    kernel: AnyArray
    stderr: np.ndarray
    noise: np.ndarray
    condition: float
    singular_values: np.ndarray
    rank: int
    unknowns: int
    equations: int
    residual_norm: float

    def __repr__(self) -> str:
        size = np.linalg.norm(to_numpy(self.kernel))
        error = np.linalg.norm(self.stderr) / size if size else np.nan
        return (
            f"<KernelFit: kernel {self.kernel.shape} from {self.equations} equations "
            f"for {self.unknowns} unknowns per filter, rank {self.rank}, condition "
            f"{self.condition:.3g}, noise {np.mean(self.noise):.3g}, expected relative "
            f"error {error:.3g}>"
        )

    def plot(self, ax: Any = None) -> Any:
        """Draw the kernel with matplotlib.

        One axis: a curve with error bars (two `stderr`) for each pair of channels. Two:
        an image of the filters, a row for each output channel, a column for each input.
        Three: the same with their planes side by side.

        Parameters
        ----------
        ax : matplotlib.axes.Axes, optional
            Where to draw; by default a new figure.

        Returns
        -------
        matplotlib.axes.Axes

        Raises
        ------
        ImportError
            Without matplotlib.
        """
        ax = axes("KernelFit.plot", ax)
        draw_kernel(to_numpy(self.kernel), self.stderr, ax)
        return ax


def fit_kernel(
    X: ArrayInput,
    Y: ArrayInput,
    kernel_size: PerAxis,
    *,
    stride: PerAxis = 1,
    padding: Padding = 0,
    dilation: PerAxis = 1,
    groups: int = 1,
    boundary: str = "zero",
    damp: float = 0.0,
) -> KernelFit:
    """The kernel of an unknown convolution, from inputs and outputs, by least squares.

    Minimizes ``||Y - A X||^2 + damp^2 ||kernel||^2`` over the kernel of the layer A.

    Parameters
    ----------
    X : array_like, shape (B, C_in, *n) or (C_in, *n)
        Inputs of the layer: one or several images, assumed exact.
    Y : array_like, shape (B, C_out, *m) or (C_out, *m)
        Its outputs, with noise of any level. Subtract a bias beforehand.
    kernel_size : int or tuple of int
        Taps on each spatial axis; an int k means ``(k, k)``. Images with one or three
        spatial axes take a tuple. A size larger than the true one is allowed: surplus
        taps are zero up to their error bars.
    stride, padding, dilation, groups, boundary
        Of the layer, as `convinv.ConvLinearOperator` takes them.
    damp : float, optional
        Pulls the kernel toward 0 where the images determine it poorly. In the units of
        `X`, times the square root of the number of samples.

    Returns
    -------
    KernelFit
        With the operator ``op``, the ``kernel``, its error bars ``stderr``, the
        ``condition`` of the problem and the level of the ``noise``.

    Raises
    ------
    ValueError
        If the shapes do not fit each other, an array is not finite, or an option is
        wrong.
    TypeError
        If X and Y are arrays of different libraries, or an argument has a wrong type.

    Warns
    -----
    UserWarning
        If the pairs do not determine the kernel and `damp` is 0. The result is then the
        kernel of least norm.

    Notes
    -----
    A filter has ``C_in / groups * prod(k)`` unknowns and every output sample gives an
    equation, so one photograph has some thousand times more equations than a small
    layer needs. The normal equations have the size of a filter. They are summed in
    double precision from windows of the image, a few megabytes at a time, or for large
    kernels from products of the image with a shifted copy: ``m (C_in prod(k))^2``
    multiplications, or for up to four channels about ``5 m C_in^2 prod(2 k)``. They are
    solved by eigenvalues and refined with residuals of the layer itself, which restores
    the accuracy lost by squaring the condition number. A condition above about ``10^7``
    can't be distinguished from an undetermined kernel and is treated as such.

    The error bars hold for white noise in Y. Noise in X is not modeled: it biases the
    kernel toward 0, by about its fraction of the variance of X.

    Examples
    --------
    >>> import numpy as np
    >>> from convinv import ConvLinearOperator, gallery, solve
    >>> from convinv.learning import fit_kernel
    >>> x = gallery.image("astronaut", 64)
    >>> secret = ConvLinearOperator(gallery.conv_layer(3, 8, rng=0), x.shape)
    >>> y = gallery.add_noise(secret.forward(x), 0.01, rng=1)
    >>> fit = fit_kernel(x, y, 3)
    >>> fit.rank, fit.unknowns, fit.equations
    (27, 27, 3844)
    >>> within = abs(fit.kernel - secret.kernel) < 3 * fit.stderr
    >>> bool(within.mean() > 0.98)
    True
    >>> solve(fit.op, y).x.shape
    (3, 64, 64)
    """
    taps = _taps(kernel_size)
    X, Y = _pairs(X, Y, len(taps))
    damp = _damp(damp)
    options = {
        "stride": stride,
        "padding": padding,
        "dilation": dilation,
        "groups": groups,
        "boundary": boundary,
    }
    shape = (Y.shape[1], _channels(X.shape[1], groups), *taps)
    g = make_geometry(shape, X.shape[1:], **options)
    if Y.shape[1:] != g.output_shape:
        raise ValueError(
            f"Y must have shape (..., {str(g.output_shape)[1:-1]}) for X of shape "
            f"(..., {str(g.input_shape)[1:-1]}), got {Y.shape}"
        )
    dtype = np.result_type(working_dtype(X.dtype, "X"), working_dtype(Y.dtype, "Y"))
    with one_blas_thread:
        return _Problem(X, Y, g, options, dtype, damp).fit()


class _Problem:
    """Images and outputs scaled by powers of two, and their equations."""

    def __init__(self, X, Y, g, options, dtype, damp):
        self.xp, self.g, self.options, self.dtype = namespace(X), g, options, dtype
        self.wide = np.result_type(dtype, np.float64)
        self.X, self.Y = X, Y
        self.x_scale, self.y_scale = power_of_two(X, "X"), power_of_two(Y, "Y")
        self.damp = damp * self.x_scale

    def x(self, i):
        image = self.X[i].astype(self.wide) * self.x_scale
        return image.reshape((self.g.c_in, *self.g.input))

    def fit(self):
        images = range(self.X.shape[0])
        G = sum(gram(padded(self.x(i), self.g), self.g) for i in images)
        G = to_numpy(G)
        values, vectors = np.linalg.eigh(G)
        values, vectors = values[:, ::-1].clip(0), vectors[:, :, ::-1]
        columns = G.shape[-1]
        floor = 4 * columns * EPS * values[:, :1]
        kept = (values > floor) | (self.damp**2 > floor)
        inverse = np.zeros_like(values)
        inverse[kept] = 1 / (values[kept] + self.damp**2)
        K, squares = self._solve(vectors, inverse)
        return self._result(values, vectors, inverse, kept, K, squares)

    def _solve(self, vectors, inverse):
        """Kernels (groups, columns, filters), and squared residuals by channel."""
        adjoint, scaled = vectors.conj().transpose(0, 2, 1), inverse[:, :, None]
        K = vectors @ (scaled * (adjoint @ self._gradient(None)[0]))
        for _ in range(REFINEMENTS):
            sides, squares = self._gradient(K)
            change = vectors @ (scaled * (adjoint @ (sides - self.damp**2 * K)))
            K = K + change
            if np.linalg.norm(change) <= 8 * EPS * np.linalg.norm(K):
                break
        return K, squares

    def _gradient(self, K):
        """``D^H (y - D K)``, and the squares of ``y - D K`` by output channel."""
        sides, squares = 0.0, 0.0
        op = None if K is None else self._operator(K, self.wide)
        for i in range(self.X.shape[0]):
            x, r = self.x(i), self.Y[i].astype(self.wide) * self.y_scale
            if op is not None:
                r = r - op.apply(x.reshape((1, *op.input_shape))).reshape(r.shape)
            sides = sides + to_numpy(right_sides(padded(x, self.g), r, self.g))
            flat = r.reshape((self.g.c_out, -1))
            squares = squares + to_numpy((flat * flat.conj()).real.sum(1))
        return sides, squares

    def _operator(self, K, dtype, scale=1.0):
        K = (K.transpose(0, 2, 1) * scale).reshape(self.g.kernel_shape)
        kernel = self.xp.asarray(np.ascontiguousarray(K.astype(dtype)))
        return ConvLinearOperator(kernel, self.g.input_shape, **self.options)

    def _result(self, values, vectors, inverse, kept, K, squares):
        g, columns = self.g, values.shape[1]
        equations = self.X.shape[0] * int(np.prod(g.output))
        share = np.where(kept, values * inverse, 0)  # eigenvalues of the hat matrix
        freedom = equations - (2 * share - share**2).sum(1)
        with np.errstate(divide="ignore", invalid="ignore"):
            freedom = np.where(freedom > 0.5, freedom, np.nan)
            noise = np.sqrt(squares.reshape(g.groups, -1) / freedom[:, None])
            smallest = np.where(kept, values, 0)[:, -1] + self.damp**2
            condition = np.sqrt((values[:, 0] + self.damp**2) / smallest).max()
        weight = abs(vectors) ** 2
        spread = np.sqrt(weight @ (values * inverse**2)[:, :, None])
        unknown = weight @ (~kept)[:, :, None] > 1e-8
        stderr = np.where(unknown, np.inf, spread * noise[:, None])
        stderr = stderr.transpose(0, 2, 1).reshape(g.kernel_shape)
        rank = int(kept.sum(1).min())
        if rank < columns:
            condition = np.inf
            warnings.warn(
                f"fit_kernel: the pairs determine {rank} of {columns} entries of a "
                "filter; the kernel returned is the one of least norm (see stderr), "
                "give more pairs or a damp",
                stacklevel=4,
            )
        op = self._operator(K, self.dtype, self.x_scale / self.y_scale)
        return KernelFit(
            op=op,
            kernel=op.kernel,
            stderr=stderr * (self.x_scale / self.y_scale),
            noise=noise.ravel() / self.y_scale,
            condition=float(condition),
            singular_values=np.sqrt(values) / self.x_scale,
            rank=rank,
            unknowns=columns,
            equations=equations,
            residual_norm=float(np.sqrt(squares.sum()) / self.y_scale),
        )


def _taps(kernel_size):
    """Taps on each axis; a number stands for two."""
    try:
        if np.ndim(kernel_size) == 0:
            return (operator.index(kernel_size),) * 2
        return tuple(operator.index(k) for k in kernel_size)
    except TypeError:
        raise TypeError(
            f"kernel_size must be an int or a tuple of them, got {kernel_size!r}"
        ) from None


def _pairs(X, Y, ndim):
    """X and Y as batches of one library."""
    X, Y = library_arrays(X, Y)
    if X.ndim not in (ndim + 1, ndim + 2) or Y.ndim != X.ndim:
        raise ValueError(
            f"with {ndim} spatial axes, as kernel_size says, X and Y must both have "
            f"{ndim + 1} axes, or {ndim + 2} for a batch, got shapes {X.shape} and "
            f"{Y.shape}"
        )
    if X.ndim == ndim + 1:
        X, Y = X[None], Y[None]
    if X.shape[0] != Y.shape[0] or X.shape[0] == 0:
        raise ValueError(
            f"X and Y must hold equally many images, at least one, got {X.shape[0]} "
            f"and {Y.shape[0]}"
        )
    return contiguous(X), contiguous(Y)


def _channels(c_in, groups):
    """The channels of a group; 1 if `make_geometry` will refuse the groups."""
    whole = isinstance(groups, (int, np.integer)) and groups > 0
    return c_in // groups if whole and c_in % groups == 0 else 1


def _damp(damp: Any) -> float:
    is_number = np.isscalar(damp) and not isinstance(damp, (str, bytes))
    if not is_number:
        raise TypeError(f"damp must be a real number, got {damp!r}")
    if not 0 <= damp < np.inf:
        raise ValueError(f"damp must be finite and not negative, got {damp!r}")
    return float(damp)
