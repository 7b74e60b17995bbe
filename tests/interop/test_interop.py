"""Arrays of other libraries, without copies."""

import sys
import types

import numpy as np
import pytest

from convinv import ConvLinearOperator, from_dlpack, gallery, solve


def test_tensors_share_their_memory():
    torch = pytest.importorskip("torch")
    tensor = torch.zeros((2, 3, 4), dtype=torch.float32)
    array = from_dlpack(tensor)
    assert type(array) is np.ndarray and array.shape == (2, 3, 4)
    assert array.dtype == np.float32
    tensor[1, 2, 3] = 5
    assert array[1, 2, 3] == 5


def test_there_and_back():
    """A layer of PyTorch, its data, and the solution as a tensor."""
    torch = pytest.importorskip("torch")
    torch.manual_seed(0)
    layer = torch.nn.Conv2d(1, 4, 3, bias=False).double()
    x = torch.rand((2, 1, 12, 13), dtype=torch.float64)
    op = ConvLinearOperator(from_dlpack(layer.weight.detach()), x.shape[1:])
    b = from_dlpack(layer(x).detach())
    np.testing.assert_allclose(op.forward(from_dlpack(x)), b, rtol=1e-12, atol=1e-14)
    found = torch.from_dlpack(solve(op, b, rtol=1e-12).x)
    torch.testing.assert_close(found, x, rtol=0, atol=1e-9)


def test_gradients_have_to_be_detached():
    torch = pytest.importorskip("torch")
    with pytest.raises((BufferError, RuntimeError), match="detach"):
        from_dlpack(torch.ones(3, requires_grad=True))


class Elsewhere:
    """An array on a device of some kind."""

    def __init__(self, kind):
        self.kind = kind

    def __dlpack_device__(self):
        return self.kind, 0

    def __dlpack__(self, **options):
        raise AssertionError("nobody asked for that")


@pytest.mark.parametrize("kind", [2, 13])
def test_cuda_arrays_become_cupy_s(monkeypatch, kind):
    taken = []
    cupy = types.SimpleNamespace(from_dlpack=lambda a: taken.append(a) or "an array")
    monkeypatch.setitem(sys.modules, "cupy", cupy)
    array = Elsewhere(kind)
    assert from_dlpack(array) == "an array" and taken == [array]


def test_cuda_arrays_need_cupy(monkeypatch):
    monkeypatch.setitem(sys.modules, "cupy", None)
    with pytest.raises(ImportError, match="CuPy: pip install"):
        from_dlpack(Elsewhere(2))


@pytest.mark.parametrize("array", [[1.0, 2.0], None, 3.0])
def test_no_arrays(array):
    with pytest.raises(TypeError, match="__dlpack__.*got (list|NoneType|float)"):
        from_dlpack(array)


def test_other_devices():
    with pytest.raises(TypeError, match="device kind 10"):
        from_dlpack(Elsewhere(10))


@pytest.mark.gpu
def test_arrays_on_the_device_share_their_memory():
    cupy = pytest.importorskip("cupy")
    x = cupy.arange(6.0).reshape(2, 3)
    foreign = types.SimpleNamespace(
        __dlpack__=x.__dlpack__, __dlpack_device__=x.__dlpack_device__
    )
    array = from_dlpack(foreign)
    assert isinstance(array, cupy.ndarray) and array.data.ptr == x.data.ptr
    assert array.shape == x.shape and array.dtype == x.dtype


@pytest.mark.gpu
def test_tensors_on_the_device_share_their_memory():
    torch, cupy = pytest.importorskip("torch"), pytest.importorskip("cupy")
    if not torch.cuda.is_available():
        pytest.skip("PyTorch has no CUDA")
    tensor = torch.arange(6.0, device="cuda").reshape(2, 3)
    array = from_dlpack(tensor)
    assert isinstance(array, cupy.ndarray)
    assert array.data.ptr == tensor.data_ptr()
    kernel = cupy.asarray(gallery.conv_layer(1, 2, rng=0, dtype="f4"))
    op = ConvLinearOperator(kernel, (1, 9, 9))
    x = torch.rand((1, 9, 9), device="cuda")
    b = op.forward(from_dlpack(x))
    assert torch.from_dlpack(b).device == tensor.device
