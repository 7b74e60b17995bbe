"""Differentiable low-rank functions for PyTorch, with gradients that stay finite.

`convinv.lowrank` gets tensors without a copy: on the CPU as NumPy arrays, on a CUDA
device as CuPy arrays (which needs CuPy).
"""

from __future__ import annotations

from typing import Any, Literal

import torch

from ..._core.validation import choice
from ..._linalg.batched import matrices, svd as _factors
from ...lowrank import svd_vjp, svt as _svt, svt_vjp
from ...lowrank._spectral_gradient import svt_and_factors
from ...lowrank._svd_gradient import VARIANTS
from ._tensors import array_of, check_tensor, tensor_of

__all__ = ["svd", "svt"]


def svt(
    a: torch.Tensor,
    threshold: torch.Tensor | float,
    *,
    form: Literal["general", "hermitian", "psd"] = "general",
    variant: Literal["exact", "standard", "inv", "tf", "clip", "taylor"] = "exact",
) -> torch.Tensor:
    """Soft-threshold the singular values of a tensor: `convinv.lowrank.svt`.

    Parameters
    ----------
    a : torch.Tensor, shape (..., m, n)
        One matrix or a stack, of dtype float32, float64, complex64 or complex128.
    threshold : float or torch.Tensor
        Not negative; broadcasts to ``a.shape[:-2]``. It may require a gradient too.
    form : {"general", "hermitian", "psd"}
        See `convinv.lowrank.svt`.
    variant : {"exact", "standard", "inv", "tf", "clip", "taylor"}
        How the gradient is computed. "exact" is exact for all singular values and never
        larger than the incoming gradient; see `convinv.lowrank.svt_vjp`.

    Returns
    -------
    torch.Tensor, shape (..., m, n)
        Like `a`.

    Raises
    ------
    ValueError, TypeError
        As `convinv.lowrank.svt`, or if `a` is no tensor of such a dtype.
    ImportError
        For tensors on a CUDA device without CuPy.

    Notes
    -----
    One singular value decomposition forward, none backward. The gradient itself cannot
    be differentiated.

    Examples
    --------
    >>> import torch
    >>> from convinv.interop.torch import svt
    >>> a = torch.tensor([[2.0, 4.0], [-4.0, 2.0]], requires_grad=True)
    >>> svt(a, 1.0).sum().backward()  # twice the same singular value
    >>> bool(a.grad.isfinite().all())
    True
    """
    check_tensor(a, "a")
    if not isinstance(threshold, torch.Tensor):
        threshold = torch.as_tensor(threshold, dtype=a.real.dtype)
    choice(variant, "variant", ("exact", *VARIANTS))
    return _SVT.apply(a, threshold.to(a.device), form, variant)


def svd(
    a: torch.Tensor,
    *,
    variant: Literal["standard", "inv", "tf", "clip", "taylor"] = "standard",
    limit: float = 1e30,
) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """The thin singular value decomposition, with a choice of gradients.

    Parameters
    ----------
    a : torch.Tensor, shape (..., m, n)
        One matrix or a stack, of dtype float32, float64, complex64 or complex128.
    variant : {"standard", "inv", "tf", "clip", "taylor"}
        The treatment of equal singular values in the gradient; see
        `convinv.lowrank.svd_vjp`.
    limit : float
        See `convinv.lowrank.svd_vjp`.

    Returns
    -------
    u, s, vh : torch.Tensor, shapes (..., m, k), (..., k) and (..., k, n)
        With ``k = min(m, n)`` and ``a = u diag(s) vh``.

    Raises
    ------
    ValueError, TypeError
        For an unknown `variant`, NaN or infinity in `a` (on the CPU), or if `a` is no
        tensor of such a dtype.
    ImportError
        For tensors on a CUDA device without CuPy.

    Notes
    -----
    The loss must not depend on the signs (phases) of the singular vectors. For
    functions of the matrix such as `svt`, do not use the gradient through the factors,
    which fails if singular values coincide. The gradient cannot be differentiated.

    Examples
    --------
    >>> import torch
    >>> from convinv.interop.torch import svd
    >>> a = torch.eye(3, 2, dtype=torch.float64, requires_grad=True)
    >>> u, s, vh = svd(a, variant="inv")
    >>> ((u * s) @ vh).sum().backward()
    >>> a.grad
    tensor([[1., 1.],
            [1., 1.],
            [1., 1.]], dtype=torch.float64)
    """
    check_tensor(a, "a")
    choice(variant, "variant", VARIANTS)
    return _SVD.apply(a, variant, float(limit))


class _SVT(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, a: Any, threshold: Any, form: Any, variant: Any) -> Any:
        array, tau = array_of(a), array_of(threshold)
        ctx.form, ctx.variant = form, variant
        if not any(ctx.needs_input_grad[:2]):
            return tensor_of(_svt(array, tau, form=form), a)
        value, factors = svt_and_factors(array, tau, form)
        ctx.save_for_backward(a, threshold, *(tensor_of(f, a) for f in factors))
        return tensor_of(value, a)

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx: Any, g: Any) -> Any:
        a, threshold, *factors = ctx.saved_tensors
        ga, gt = svt_vjp(
            array_of(a),
            array_of(threshold),
            array_of(g),
            form=ctx.form,
            variant=ctx.variant,
            factors=tuple(map(array_of, factors)),
        )
        gt = torch.as_tensor(gt, device=a.device)
        return tensor_of(ga, a), gt.to(threshold.dtype), None, None


class _SVD(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, a: Any, variant: Any, limit: float) -> Any:
        factors = [tensor_of(f, a) for f in _factors(matrices(array_of(a)))]
        ctx.save_for_backward(*factors)
        ctx.variant, ctx.limit = variant, limit
        return tuple(factors)

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx: Any, *gradients: Any) -> Any:
        u, s, vh = ctx.saved_tensors
        ga = svd_vjp(
            *map(array_of, (u, s, vh)),
            *(None if g is None else array_of(g) for g in gradients),
            variant=ctx.variant,
            limit=ctx.limit,
        )
        return tensor_of(ga, u), None, None
