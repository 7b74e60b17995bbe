"""wiener() and unsupervised_wiener(), as scikit-image has them."""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np
from scipy import fft

from ..._core.adapted_calls import adapts
from ..._core.arrays import namespace, to_numpy
from ..._core.boundaries import canonical_boundary
from ..._core.typing import AnyArray, ArrayInput, Seed
from ..._core.validation import boolean, number
from ...imaging._camera import UNKNOWN, check_boundary
from ...imaging._smoothness import smooth_scene
from ...operators._convolution import ConvLinearOperator
from ._frames import Framed, array_of, framed

PERIODIC = "periodic"
SAMPLER = {"threshold", "burnin", "min_num_iter", "max_num_iter"}


@adapts("image")
def wiener(
    image: ArrayInput,
    psf: ArrayInput,
    balance: float,
    reg: ArrayInput | None = None,
    is_real: bool = True,
    clip: bool = True,
    *,
    boundary: str | None = None,
) -> AnyArray:
    """Wiener-Hunt deconvolution.

    The function of this name in `skimage.restoration`, for pictures whose edges do not
    continue each other.

    Parameters
    ----------
    image : array_like
        The blurred picture or volume, with one to three axes. Integers are taken as
        they are.
    psf : array_like
        The point spread function, with as many axes and its center at ``k // 2``; if it
        is complex, the transfer function, of the shape of `scipy.fft.rfftn` of `image`.
        It is not divided by its sum.
    balance : float
        The weight of the penalty: the result minimizes ``||psf * x - image||^2 +
        balance ||reg * x||^2``.
    reg : array_like, optional
        The kernel of the penalty or, if complex, its transfer function; by default the
        Laplacian.
    is_real : bool
        Whether transfer functions are given for half of the frequencies; False: for
        all, in the shape of `image`.
    clip : bool
        Whether values above 1 and below -1 become 1 and -1: False for pictures of
        another range.
    boundary : str, optional
        What is beyond the frame: "unknown", a scene that goes on and is found as far as
        it reaches into the picture, which is the default; "periodic", scikit-image's
        assumption, and the default for transfer functions; or another boundary of
        `convinv.imaging.deconvolve`.

    Returns
    -------
    array
        In the shape of `image`, in its dtype if that is float32, else float64.

    Raises
    ------
    ValueError, TypeError
        If the arguments do not fit each other, or a transfer function meets another
        boundary than "periodic".

    See Also
    --------
    convinv.imaging.deconvolve : For colors, bounds, missing pixels, other penalties.

    Notes
    -----
    With ``boundary="periodic"`` results are those of scikit-image 0.26 to rounding for
    every `psf`, and for every `reg` that is symmetric. Of the transfer functions of
    others, and of a `psf` that is given as one, it takes the real part only.

    Examples
    --------
    >>> import numpy as np
    >>> from convinv import gallery, imaging
    >>> from convinv.interop.skimage import wiener
    >>> scene = gallery.image("camera")[0, 100:164, 150:214]
    >>> psf = gallery.gaussian_kernel(9, 1.5)
    >>> blurred = imaging.blur(scene, psf)
    >>> found = wiener(blurred, psf, 1e-4)
    >>> bool(np.linalg.norm(found - scene) < 0.7 * np.linalg.norm(blurred - scene))
    True
    """
    boolean(clip, "clip")
    strength = number(balance, "balance") ** 0.5
    view, penalty = _problem(image, psf, reg, is_real, boundary)
    found = _smooth(view, penalty if strength else None, strength)
    return view.picture(found.result.x, clip)


@adapts("image")
def unsupervised_wiener(
    image: ArrayInput,
    psf: ArrayInput,
    reg: ArrayInput | None = None,
    user_params: dict[str, Any] | None = None,
    is_real: bool = True,
    clip: bool = True,
    *,
    rng: Seed = None,
    boundary: str | None = None,
) -> tuple[AnyArray, dict[str, list[float]]]:
    """Wiener-Hunt deconvolution whose balance comes from the picture.

    The function of this name in `skimage.restoration`, with another way to the balance:
    scikit-image draws samples, this fits a model of scene and noise to the spectrum of
    the picture.

    Parameters
    ----------
    image, psf, reg, is_real, clip, boundary
        As `wiener` has them.
    user_params : dict, optional
        Of scikit-image's sampler: ``threshold``, ``burnin``, ``min_num_iter``,
        ``max_num_iter``. They have no effect here. Its ``callback``, which would see
        the samples, is refused.
    rng : int or numpy.random.Generator, optional
        Has no effect: nothing is drawn.

    Returns
    -------
    x : array
        In the shape of `image`.
    chains : dict
        Lists of one number each, in place of its chains: ``noise``, one over the
        variance of the noise, and ``prior``, that of the penalty. Their ratio ``prior /
        noise`` is the ``balance`` of `wiener` that gives x.

    Raises
    ------
    ValueError, TypeError
        As `wiener`, or for other parameters.

    See Also
    --------
    convinv.imaging.deconvolve : Does the same with ``regularizer="laplacian"``, and has
        other penalties.
    convinv.imaging.estimate_noise : The noise of a picture.

    Examples
    --------
    >>> import numpy as np
    >>> from convinv import gallery, imaging
    >>> from convinv.interop.skimage import unsupervised_wiener, wiener
    >>> scene = gallery.image("camera")[0, 100:228, 150:278]
    >>> psf = gallery.gaussian_kernel(9, 1.5)
    >>> noise = 0.01 * np.random.default_rng(0).standard_normal(scene.shape)
    >>> blurred = imaging.blur(scene, psf) + noise
    >>> found, chains = unsupervised_wiener(blurred, psf)
    >>> bool(np.linalg.norm(found - scene) < np.linalg.norm(blurred - scene))
    True
    >>> balance = chains["prior"][0] / chains["noise"][0]
    >>> bool(np.allclose(wiener(blurred, psf, balance), found))
    True
    """
    boolean(clip, "clip")
    np.random.default_rng(rng)  # refuses what is no seed
    given = {k: v for k, v in (user_params or {}).items() if v is not None}
    unknown = sorted(set(given) - SAMPLER)
    if unknown:
        raise ValueError(
            f"user_params must have the keys {', '.join(sorted(SAMPLER))}, which have "
            f"no effect as no samples are drawn, got {', '.join(unknown)}"
        )
    view, penalty = _problem(image, psf, reg, is_real, boundary)
    strength, noise = view.exposed.automatic(to_numpy(penalty.kernel[0, 0]), None)
    found = _smooth(view, penalty, strength)
    precision = 1 / noise**2
    chains = {"noise": [precision], "prior": [strength**2 * precision]}
    return view.picture(found.result.x, clip), chains


def _problem(
    image: Any, psf: Any, reg: Any, is_real: bool, boundary: str | None
) -> tuple[Framed, ConvLinearOperator]:
    """The picture in its frame, and the penalty of the scene."""
    boolean(is_real, "is_real")
    image, psf = array_of(image), array_of(psf)
    reg = _laplacian(image.ndim) if reg is None else to_numpy(array_of(reg))
    given = {"psf": psf, "reg": reg}
    transfers = [name for name, array in given.items() if array.dtype.kind == "c"]
    if boundary is None:
        boundary = PERIODIC if transfers else UNKNOWN
    check_boundary(boundary)
    if transfers and boundary != PERIODIC:
        raise ValueError(
            f"{transfers[0]} is a transfer function, which belongs to a periodic "
            f"picture: give its kernel, or boundary='periodic', got {boundary!r}"
        )
    if "psf" in transfers:
        psf = _kernel(to_numpy(psf), image.shape, is_real, "psf")
    if "reg" in transfers:
        reg = _kernel(reg, image.shape, is_real, "reg")
    center = tuple(k // 2 for k in psf.shape)
    view = framed(image, psf, boundary, origin=center, normalize=False)
    if reg.ndim != image.ndim:
        raise ValueError(
            f"reg must have the {image.ndim} axes of image, got {reg.ndim}"
        )
    return view, _penalty(reg, view, boundary)


def _smooth(view: Framed, penalty: Any, strength: float) -> Any:
    settings: dict[str, Any] = {"method": "auto", "rtol": None, "bounds": None}
    return smooth_scene(view.exposed, penalty, strength, None, **settings)


def _penalty(kernel: np.ndarray, view: Framed, boundary: str) -> ConvLinearOperator:
    """The convolution of the scene, beyond which its border is mirrored."""
    periodic = boundary != UNKNOWN and canonical_boundary(boundary) == PERIODIC
    op = view.exposed.op
    xp, real = namespace(op.kernel), op.kernel.real.dtype
    return ConvLinearOperator(
        xp.asarray(kernel.astype(real))[None, None],
        op.input_shape,
        padding=[(k - 1 - k // 2, k // 2) for k in kernel.shape],
        boundary=PERIODIC if periodic else "symmetric",
        flip=True,
    )


def _laplacian(axes: int) -> np.ndarray:
    kernel = np.zeros((3,) * axes)
    kernel[(1,) * axes] = 2 * axes
    for axis, end in itertools.product(range(axes), (0, 2)):
        kernel[tuple(end if a == axis else 1 for a in range(axes))] = -1
    return kernel


def _kernel(
    transfer: np.ndarray, shape: tuple[int, ...], is_real: bool, name: str
) -> np.ndarray:
    """The kernel, of the size of the picture, for a transfer function."""
    wanted = (*shape[:-1], shape[-1] // 2 + 1) if is_real else shape
    if transfer.shape != tuple(wanted):
        raise ValueError(
            f"{name}, a transfer function, must have shape {tuple(wanted)} for an "
            f"image of {tuple(shape)} and is_real={is_real}, got {transfer.shape}"
        )
    turned = fft.irfftn(transfer, shape) if is_real else fft.ifftn(transfer).real
    return fft.fftshift(turned)
