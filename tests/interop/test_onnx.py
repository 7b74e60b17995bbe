"""Convolutions of ONNX models as operators, against onnx's reference."""

import sys

import numpy as np
import pytest

onnx = pytest.importorskip("onnx")
from onnx import helper  # noqa: E402

from convinv import solve  # noqa: E402
from convinv.interop.onnx import convolutions, operator  # noqa: E402
from support import onnx_models as models  # noqa: E402
from support.onnx_models import node, run  # noqa: E402

SEEDS, EACH = 10, 50
TOLERANCE = {"float16": 2e-2, "float32": 1e-4, "float64": 1e-11}
RNG = np.random.default_rng(0)


class TestOperators:
    @pytest.mark.parametrize("seed", range(SEEDS))
    def test_random_attributes(self, seed):
        """Products are those of the reference; what can't be had is told."""
        rng = np.random.default_rng(seed)
        refused = 0
        for number in range(EACH):
            drawn = models.draw(rng)
            try:
                op = operator(drawn.model(number % 2 == 0), "layer", drawn.shape)
            except ValueError as error:
                assert "not reached" in str(error) or "at least 0" in str(error)
                assert drawn.kind == "ConvTranspose"
                refused += 1
                continue
            x = rng.standard_normal((2, *drawn.shape)).astype(drawn.dtype)
            plain = drawn.spelt_out()
            bias = drawn.bias.astype(float).reshape(-1, *[1] * (len(drawn.shape) - 1))
            if drawn.kind == "Conv" or plain.is_reached:
                wanted = run(plain.model(), x).astype(float) - bias
            else:
                full = run(plain.uncropped().model(), x).astype(float) - bias
                wanted = plain.crop(full)
            found = op.forward(x.astype(op.dtype)).astype(float)
            scale = max(float(np.abs(wanted).max()), 1.0)
            np.testing.assert_allclose(
                found, wanted, atol=TOLERANCE[drawn.dtype] * scale, err_msg=str(drawn)
            )
        assert refused < EACH / 4

    @pytest.mark.parametrize("kind", ["Conv", "ConvTranspose"])
    def test_inverses(self, kind):
        kernel = RNG.standard_normal((2, 2, 3, 3) if kind == "Conv" else (2, 5, 3, 3))
        made = models.model(
            [node(kind, "w", pads=[1, 0, 1, 2])], (2, 6, 7), {"w": kernel}, "float64"
        )
        x = RNG.standard_normal((3, 2, 6, 7))
        op = operator(made, None, (2, 6, 7))
        if kind == "Conv":
            y = run(made, x)
            np.testing.assert_allclose(op.forward(solve(op, y).x), y, atol=1e-6)
        else:
            found = solve(op, run(made, x), rtol=1e-12)
            assert found.success
            np.testing.assert_allclose(found.x, x, atol=1e-8)


class TestConvolutions:
    @pytest.fixture
    def kernel(self):
        return RNG.standard_normal((4, 2, 3, 3)).astype(np.float32)

    def test_names_and_options(self, kernel):
        bias = np.arange(4, dtype=np.float32)
        nodes = [
            models.constant("c", kernel),
            helper.make_node("Identity", ["w"], ["same"]),
            node("Conv", "w", "b", out="h", name="first", strides=[1, 2], group=1),
            helper.make_node("Conv", ["x", "c"], ["k"], auto_pad="SAME_LOWER"),
            node("Conv", "same", out="y", name="third", dilations=[2, 1]),
            helper.make_node("Conv", ["x", "x"], ["z"], "computed"),
        ]
        made = models.model(nodes, (2, 9, 9), {"w": kernel, "b": bias})
        found = convolutions(made)
        assert list(found) == ["first", "k", "third"]
        first = found["first"]
        np.testing.assert_array_equal(first.kernel, kernel)
        np.testing.assert_array_equal(first.bias, bias)
        assert first.options == {"stride": (1, 2), "dilation": (1, 1), "groups": 1}
        assert first.pads == ((0, 0), (0, 0)) and not first.transposed
        assert found["k"].bias is None and found["k"].pads is None
        assert found["third"].options["dilation"] == (2, 1)
        assert operator(made, "k", (2, 9, 9)).output_shape == (4, 9, 9)

    def test_files(self, kernel, tmp_path):
        made = models.model([node("Conv", "w")], (2, 5, 5), {"w": kernel})
        path = tmp_path / "net.onnx"
        onnx.save(made, str(path))
        for source in (made, path, str(path), path.read_bytes()):
            assert list(convolutions(source)) == ["Conv"]

    def test_half_precision(self, kernel):
        half = kernel.astype(np.float16)
        made = models.model([node("Conv", "w")], (2, 5, 5), {"w": half}, "float16")
        op = operator(made, None, (2, 5, 5))
        assert op.dtype == np.float32
        np.testing.assert_array_equal(op.kernel.reshape(half.shape), half)

    @pytest.mark.parametrize(
        ("attributes", "words"),
        [
            ({"auto_pad": "SAME"}, r"Conv \(Conv\): auto_pad must be one of"),
            ({"strides": [1]}, r"strides must be 2 numbers, got \(1,\)"),
            ({"kernel_shape": [5, 5]}, "a kernel_shape of .5, 5. and a kernel of"),
        ],
    )
    def test_attributes_that_make_no_sense(self, kernel, attributes, words):
        made = models.model([node("Conv", "w")], (2, 5, 5), {"w": kernel})
        for name, value in attributes.items():
            made.graph.node[0].attribute.append(helper.make_attribute(name, value))
        with pytest.raises(ValueError, match=words):
            convolutions(made)

    def test_refused(self, kernel, tmp_path, monkeypatch):
        made = models.model([node("Conv", "w")], (2, 5, 5), {"w": kernel})
        with pytest.raises(ValueError, match="of the convolutions 'Conv', got 'no'"):
            operator(made, "no", (2, 5, 5))
        with pytest.raises(ValueError, match=r"input_shape must be \(2, \*spatial\)"):
            operator(made, "Conv", (3, 5, 5))
        with pytest.raises(ValueError, match="node Conv: kernel does not fit"):
            operator(made, "Conv", (2, 2, 2))
        with pytest.raises(FileNotFoundError, match="there is no file"):
            convolutions(tmp_path / "none.onnx")
        with pytest.raises(ValueError, match="holds no ONNX model"):
            convolutions(b"\x00no model")
        with pytest.raises(TypeError, match="got int"):
            convolutions(3)
        monkeypatch.setitem(sys.modules, "onnx", None)
        with pytest.raises(ImportError, match="python -m pip install onnx"):
            convolutions(tmp_path)
