"""Inverses of ONNX models that are chains, against onnx's reference."""

import warnings

import numpy as np
import pytest

onnx = pytest.importorskip("onnx")
torch = pytest.importorskip("torch")
from onnx import helper  # noqa: E402

from convinv.interop.onnx import Inverse, convolutions  # noqa: E402
from support import onnx_models as models  # noqa: E402
from support.onnx_models import node, run  # noqa: E402

RNG = np.random.default_rng(0)
SHAPE = (2, 6, 8)


def weights(*shape, scale=None):
    """In double precision, or of a size in single."""
    drawn = RNG.standard_normal(shape)
    return drawn if scale is None else (scale * drawn).astype(np.float32)


# kinds of nodes: arrays, attributes, the shape of the input
KINDS = {
    "Conv": ([weights(9, 2, 3, 3), weights(9)], {"pads": [0, 1, 2, 1]}, SHAPE),
    "Conv same": ([weights(9, 2, 2, 3)], {"auto_pad": "SAME_LOWER"}, SHAPE),
    "Conv 1-D": ([weights(6, 2, 3)], {"strides": [2], "pads": [1, 1]}, (2, 9)),
    "Conv 3-D": ([weights(30, 2, 3, 2, 2)], {"pads": [1] * 6}, (2, 3, 4, 3)),
    "ConvTranspose": (
        [weights(2, 4, 3, 3), weights(4)],
        {"strides": [2, 2], "pads": [1, 0, 0, 1], "output_padding": [1, 0]},
        SHAPE,
    ),
    "ConvTranspose shaped": (
        [weights(2, 4, 3, 3)],
        {"strides": [2, 2], "output_shape": [12, 16], "auto_pad": "SAME_UPPER"},
        SHAPE,
    ),
    "Gemm": ([weights(7, 5), weights(7)], {"transB": 1, "alpha": 0.5}, (5,)),
    "Gemm plain": ([weights(5, 7), weights(1)], {"beta": 2.0}, (5,)),
    "MatMul": ([weights(5, 7)], {}, (3, 5)),
    "BatchNormalization": (
        [weights(2), weights(2), weights(2), np.array([0.5, 2.0])],
        {"epsilon": 1e-3},
        SHAPE,
    ),
    "LeakyRelu": ([], {"alpha": 0.2}, SHAPE),
    "PRelu": ([np.array([0.3, 0.5]).reshape(2, 1, 1)], {}, SHAPE),
    "PRelu one": ([np.array([0.3])], {}, SHAPE),
    "Elu": ([], {"alpha": 1.5}, SHAPE),
    "Celu": ([], {"alpha": 1.5}, SHAPE),
    "Selu": ([], {}, SHAPE),
    "Softplus": ([], {}, SHAPE),
    "Softsign": ([], {}, SHAPE),
    "Tanh": ([], {}, SHAPE),
    "Sigmoid": ([], {}, SHAPE),
    "Dropout": ([], {}, SHAPE),
    "Flatten": ([], {}, SHAPE),
    "Reshape": ([np.array([0, 4, -1])], {}, SHAPE),
    "DepthToSpace": ([], {"blocksize": 2, "mode": "CRD"}, (8, 2, 3)),
    "Pad": ([np.array([0, 0, 1, 2, 0, 0, 0, 1]), np.array(0.5)], {}, SHAPE),
    "Pad reflect": (
        [np.array([0, 0, 1, 2, 0, 0, 0, 1])],
        {"mode": "reflect"},
        SHAPE,
    ),
    "Pad edge": ([np.array([0, 0, 1, 2, 0, 0, 0, 1])], {"mode": "edge"}, SHAPE),
    "Pad wrap": ([np.array([0, 0, 1, 2, 0, 0, 0, 1])], {"mode": "wrap"}, SHAPE),
}
SINGLE = ("Celu",)  # of which the reference knows no other precision


class TestInverse:
    @pytest.mark.parametrize("name", KINDS)
    def test_each_kind(self, name):
        """The module does what the node does, and its inverse takes it back."""
        arrays, attributes, shape = KINDS[name]
        kind = name.split()[0]
        dtype = "float32" if kind in SINGLE else "float64"
        names = [f"w{i}" for i in range(len(arrays))]
        made = models.model(
            [helper.make_node(kind, ["x", *names], ["y"], "the/node", **attributes)],
            shape,
            dict(zip(names, arrays)),
            dtype,
        )
        x = RNG.standard_normal((3, *shape)).astype(dtype)
        wanted = run(made, x)
        inverse = Inverse(made, rtol=1e-10 if dtype == "float64" else None)
        assert inverse.input_shape == shape and inverse.unsupported == []
        with torch.no_grad():
            y = inverse.module(torch.from_numpy(x))
        tol = 1e-5 if dtype == "float32" else 1e-10
        np.testing.assert_allclose(y.numpy(), wanted, atol=tol)
        found = inverse(torch.from_numpy(wanted))
        np.testing.assert_allclose(found.detach().numpy(), x, atol=100 * tol)

    def test_a_chain(self):
        """Of nodes in any order of the file's lists, with names that are paths."""
        arrays = {
            "k": weights(12, 2, 3, 3, scale=0.2),
            "b": weights(12, scale=0.1),
            "t": weights(12, 8, 2, 2, scale=0.2),
        }
        nodes = [
            models.constant("m", weights(8 * 6 * 8, 900, scale=0.05)),
            node("Conv", "k", "b", out="h1", name="/a/Conv", pads=[1, 1, 1, 1],
                 strides=[2, 2]),
            node("LeakyRelu", data="h1", out="h2", name="/a/act"),
            node("ConvTranspose", "t", data="h2", out="h3", name="up", strides=[2, 2]),
            node("Tanh", data="h3", out="h4", name="tanh"),
            node("Flatten", data="h4", out="h5", name="flat"),
            node("MatMul", "m", data="h5", out="h6", name="mat"),
            helper.make_node("Add", ["add", "h6"], ["y"], "plus"),
        ]  # fmt: skip
        arrays["add"] = weights(900, scale=1.0)
        made = models.model(nodes, SHAPE, arrays)
        x = 0.1 * RNG.standard_normal((2, *SHAPE)).astype(np.float32)
        inverse = Inverse(made, on_failure="ignore")
        names = list(dict(inverse.module.named_children()))
        assert names == ["a_Conv", "a_act", "up", "tanh", "flat", "mat"]
        y = run(made, x)
        with torch.no_grad():
            np.testing.assert_allclose(
                inverse.module(torch.from_numpy(x)).numpy(), y, atol=1e-3
            )
        found = inverse(torch.from_numpy(y)).detach().numpy()
        assert np.linalg.norm(found - x) < 1e-2 * np.linalg.norm(x)

    def test_relu(self):
        made = models.model([node("Relu")], SHAPE, {})
        assert Inverse(made).unsupported == [
            "net.Relu ReLU: maps all negative numbers to 0"
        ]

    @pytest.mark.parametrize(
        ("nodes", "words"),
        [
            ([node("MaxPool", kernel_shape=[2, 2])], r"MaxPool \(MaxPool\): of this k"),
            ([node("Add", "x")], r"no chain: node Add \(Add\) takes x, x"),
            (
                [node("Tanh", out="h"), node("Add", "h")],
                r"'x' is taken by Tanh \(Tanh\), Add \(Add\)",
            ),
            ([node("Add", "one")], r"node Add \(Add\): of this kind"),
            ([node("Flatten", axis=2)], "joins the axis of items"),
            ([node("DepthToSpace", blocksize=1)], "a mode of DCR"),
            ([node("Selu", alpha=1.0)], "its alpha is 1 in place of 1.67"),
            ([node("MatMul", "one")], "no product of the data with a matrix"),
            ([node("Reshape", "shape")], "joins items of"),
            ([node("Pad", "pads")], r"pads of \[1, 0"),
            ([node("PRelu", "slopes")], "not one for each channel"),
            ([node("Conv", "wide")], r"node Conv.*kernel does not fit"),
            ([node("Conv", "x")], "is computed, or an input|no chain"),
            ([node("Tanh", out="z")], "'z' is taken by no node"),
        ],
    )
    def test_refused(self, nodes, words):
        arrays = {
            "one": np.ones(1, np.float32),
            "shape": np.array([7, 5]),
            "pads": np.array([1, 0, 0, 0, 0, 0, 0, 0]),
            "slopes": np.ones((8,), np.float32),
            "wide": np.ones((1, 2, 30, 30), np.float32),
        }
        made = models.model(nodes, SHAPE, arrays)
        with pytest.raises(ValueError, match=words):
            Inverse(made)

    def test_sizes_that_the_model_does_not_tell(self):
        made = models.model([node("Tanh")], SHAPE, {})
        made.graph.input[0].type.tensor_type.shape.dim[3].dim_param = "width"
        with pytest.raises(ValueError, match=r"\(None, 2, 6, None\): give input_shape"):
            Inverse(made)
        assert Inverse(made, SHAPE).output_shape == SHAPE

    def test_a_node_whose_kernel_does_not_take_its_input(self):
        made = models.model([node("Conv", "w")], SHAPE, {"w": weights(3, 4, 2, 2)})
        with pytest.raises(ValueError, match=r"input_shape must be \(4, \*spatial\)"):
            Inverse(made)


class TestModelsOfPyTorch:
    def test_exported(self, tmp_path):
        """What torch.onnx writes, where it can without other packages."""
        nn = torch.nn
        torch.manual_seed(0)
        net = nn.Sequential(
            nn.Conv2d(2, 12, 3, stride=2, padding=1),
            nn.BatchNorm2d(12),
            nn.LeakyReLU(0.2),
            nn.ConvTranspose2d(12, 16, 2, stride=2),
            nn.ELU(),
        ).eval()
        path, x = tmp_path / "net.onnx", torch.randn(1, *SHAPE)
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                torch.onnx.export(net, (x,), str(path), dynamo=False)
        except Exception as error:  # of exporters that need what is not there
            pytest.skip(f"{type(error).__name__}: {error}")
        assert len(convolutions(path)) == 2
        inverse = Inverse(path)
        found = inverse(net(x)).detach()
        assert inverse.last.success
        assert float((found - x).norm() / x.norm()) < 1e-3
