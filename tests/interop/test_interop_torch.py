"""Differentiable functions for PyTorch, by its own check of gradients."""

import subprocess
import sys

import numpy as np
import pytest

from convinv import lowrank

torch = pytest.importorskip("torch")
from convinv.interop.torch import svd, svt  # noqa: E402

REAL, COMPLEX = torch.float64, torch.complex128
SHAPES = [(4, 4), (5, 3), (3, 5), (2, 3, 4, 2)]


def tensor(shape, dtype=REAL, seed=0):
    torch.manual_seed(seed)
    return torch.randn(shape, dtype=dtype, requires_grad=True)


def equal_values(dtype=REAL, size=4):
    """Orthogonal columns of the same length, some of them 0."""
    torch.manual_seed(1)
    q = torch.linalg.qr(torch.randn((size, size), dtype=dtype))[0]
    values = torch.tensor([2.0, 2.0, 0.0, 0.0], dtype=dtype)
    other = torch.linalg.qr(torch.randn((size, size), dtype=dtype))[0]
    return ((q * values) @ other.mH).requires_grad_()


@pytest.mark.parametrize("dtype", [REAL, COMPLEX])
@pytest.mark.parametrize("shape", SHAPES)
def test_svt(dtype, shape):
    a = tensor(shape, dtype)
    tau = torch.tensor(0.4, dtype=REAL, requires_grad=True)
    assert torch.autograd.gradcheck(svt, (a, tau))


@pytest.mark.parametrize("dtype", [REAL, COMPLEX])
@pytest.mark.parametrize("form", ["general", "hermitian", "psd"])
def test_svt_of_equal_values(dtype, form):
    a = equal_values(dtype)
    if form != "general":
        a = (a.detach() @ a.detach().mH).requires_grad_()  # 4, 4, 0, 0
    tau = torch.tensor(0.7, dtype=REAL, requires_grad=True)
    assert torch.autograd.gradcheck(lambda a, t: svt(a, t, form=form), (a, tau))


def test_thresholds_of_a_batch():
    a = tensor((2, 3, 4, 3))
    tau = torch.tensor([0.1, 0.5, 1.0], dtype=REAL, requires_grad=True)
    assert torch.autograd.gradcheck(svt, (a, tau))
    one = torch.rand((2, 1), dtype=REAL, requires_grad=True)
    assert torch.autograd.gradcheck(svt, (a, one))


@pytest.mark.parametrize("dtype", [REAL, COMPLEX])
@pytest.mark.parametrize("shape", [(4, 3), (2, 2, 3)])
@pytest.mark.parametrize("variant", ["standard", "inv", "tf", "clip"])
def test_svd(dtype, shape, variant):
    """Functions of all factors that don't see the phases of the vectors."""
    a = tensor(shape, dtype)

    def functions(a):
        u, s, vh = svd(a, variant=variant)
        return u.abs(), s, (u * s.sin()[..., None, :]) @ vh

    assert torch.autograd.gradcheck(functions, (a,))


@pytest.mark.parametrize("variant", ["standard", "inv", "tf", "clip", "taylor"])
def test_variants_are_those_of_the_package(variant):
    a = tensor((4, 4), seed=3)
    g = torch.randn((4, 4), dtype=REAL)
    svt(a, 0.5, variant=variant).backward(g)
    wanted = lowrank.svt_vjp(a.detach().numpy(), 0.5, g.numpy(), variant=variant)[0]
    np.testing.assert_allclose(a.grad.numpy(), wanted, atol=1e-12)
    exact = lowrank.svt_vjp(a.detach().numpy(), 0.5, g.numpy())[0]
    if variant == "taylor":
        assert np.abs(wanted - exact).max() > 1e-6
    a.grad = None
    u, s, vh = svd(a, variant=variant)
    (((u * (s - 0.5).clamp(min=0)) @ vh) * g).sum().backward()
    np.testing.assert_allclose(a.grad.numpy(), wanted, atol=1e-12)


def test_torch_s_own_gradient_is_not_finite():
    """What the module is for: the loss of a matrix of equal values and zeros."""
    found = {}
    for name, function in {"torch": torch.linalg.svd, "inv": svd}.items():
        a = torch.eye(3, dtype=REAL, requires_grad=True)
        options = {"variant": "inv"} if name == "inv" else {}
        u, s, vh = function(a, **options)
        ((u * s) @ vh).sum().backward()
        found[name] = a.grad
    assert not found["torch"].isfinite().all()
    torch.testing.assert_close(found["inv"], torch.ones((3, 3), dtype=REAL))
    a = torch.eye(3, dtype=REAL, requires_grad=True)
    svt(a, 0.0).sum().backward()
    torch.testing.assert_close(a.grad, torch.ones((3, 3), dtype=REAL))


@pytest.mark.parametrize("dtype", [torch.float32, torch.complex64])
def test_precision_and_memory(dtype):
    a = tensor((6, 5, 4), dtype)
    before = a.detach().clone()
    z = svt(a, 0.3)
    z.abs().sum().backward()
    assert z.dtype == a.grad.dtype == dtype
    torch.testing.assert_close(a.detach(), before, rtol=0, atol=0)
    without = svt(a.detach(), 0.3)
    assert not without.requires_grad
    torch.testing.assert_close(without, z.detach(), rtol=1e-4, atol=1e-5)


def test_views_and_lazy_conjugates():
    a = tensor((3, 5), COMPLEX)
    torch.testing.assert_close(svt(a.mH, 0.5), svt(a, 0.5).mH)
    assert torch.autograd.gradcheck(lambda a: svt(a.mH[1:], 0.5), (a,))


def test_it_learns_a_threshold():
    torch.manual_seed(0)
    x = torch.outer(torch.randn(8), torch.randn(8))
    noisy = x + 0.2 * torch.randn((8, 8))
    tau = torch.tensor(0.05, requires_grad=True)
    optimizer, losses = torch.optim.Adam([tau], lr=0.05), []
    for _ in range(40):
        loss = (svt(noisy, tau) - x).square().sum()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(float(loss.detach()))
    assert tau > 0.3 and losses[-1] < 0.7 * losses[0]


def test_gradients_of_gradients_are_refused():
    a = tensor((3, 3))
    (ga,) = torch.autograd.grad(svt(a, 0.1).square().sum(), a, create_graph=True)
    with pytest.raises(RuntimeError, match="once_differentiable"):
        ga.sum().backward()


def test_refuses():
    with pytest.raises(TypeError, match="a must be a tensor of dtype.*got ndarray"):
        svt(np.eye(3), 1.0)
    with pytest.raises(TypeError, match="got torch.float16"):
        svd(torch.eye(3, dtype=torch.float16))
    with pytest.raises(ValueError, match="variant must be one of 'exact'"):
        svt(torch.eye(3), 1.0, variant="best")
    with pytest.raises(ValueError, match="variant must be one of 'standard'"):
        svd(torch.eye(3), variant="exact")
    with pytest.raises(ValueError, match="threshold must not be negative"):
        svt(torch.eye(3), -1.0)


def test_the_package_does_not_import_torch():
    code = "import sys, convinv, convinv.lowrank; print('torch' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.stdout == "False\n", done.stderr


@pytest.mark.gpu
def test_on_a_device():
    pytest.importorskip("cupy")
    if not torch.cuda.is_available():
        pytest.skip("PyTorch has no CUDA")
    a = torch.randn((3, 4, 3), dtype=REAL, device="cuda", requires_grad=True)
    tau = torch.tensor(0.4, dtype=REAL, device="cuda", requires_grad=True)
    assert torch.autograd.gradcheck(svt, (a, tau))
    host = a.detach().cpu().requires_grad_()
    svt(a, 0.4).sum().backward()
    svt(host, 0.4).sum().backward()
    torch.testing.assert_close(a.grad.cpu(), host.grad)
