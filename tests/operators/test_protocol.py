"""Who may look inside operators, old pickles, and what a subclass gets."""

import ast
import base64
import pickle

import numpy as np
import pytest

from convinv import ConvLinearOperator, solve
from convinv.operators import ShapedOperator
from support.paths import PACKAGE

# What modules call operators: by these names nothing private is read of them.
NAMES = {
    "base", "inner", "layer", "op", "operator", "other", "prepared", "wide", "working",
}  # fmt: skip
OUTSIDE = [
    path
    for path in sorted(PACKAGE.rglob("*.py"))
    if path.relative_to(PACKAGE).parts[0] != "operators"
]


def private_reads(source):
    """``(line, name)`` of every underscored attribute of what is called an operator."""
    for node in ast.walk(ast.parse(source)):
        if not isinstance(node, ast.Attribute):
            continue
        if not node.attr.startswith("_") or node.attr.startswith("__"):
            continue
        owner = getattr(node.value, "attr", getattr(node.value, "id", None))
        if owner in NAMES:
            yield node.lineno, f"{owner}.{node.attr}"


def test_what_counts_as_a_private_read():
    found = private_reads(
        "op._a; self.op._b(); layer.c; self._d; op.layer._e; op.__f__"
    )
    assert sorted(name for _, name in found) == ["layer._e", "op._a", "op._b"]


@pytest.mark.parametrize("path", OUTSIDE, ids=lambda p: str(p.relative_to(PACKAGE)))
def test_other_rooms_use_the_protocol_alone(path):
    assert not list(private_reads(path.read_text(encoding="utf-8")))


class Mirror(ShapedOperator):
    """Turns images around, and knows nothing but that."""

    def __init__(self, shape):
        super().__init__(np.float64, shape, shape)

    def _apply(self, X):
        return X[..., ::-1]

    _apply_adjoint = _apply


class TestSubclasses:
    def test_solve_takes_them(self):
        x = np.random.default_rng(0).standard_normal((2, 5))
        result = solve(Mirror((2, 5)), x[:, ::-1])
        assert result.success
        np.testing.assert_allclose(result.x, x, rtol=1e-5)

    def test_products(self):
        op = Mirror((2, 3))
        x = np.arange(6.0)
        np.testing.assert_array_equal(op @ x, [2, 1, 0, 5, 4, 3])
        np.testing.assert_array_equal((op @ op) @ x, x)
        Y, sums = op.apply(x.reshape(1, 2, 3), sumsq=True)
        assert Y.shape == (1, 2, 3) and sums.tolist() == [55.0]

    def test_without_products(self):
        op = ShapedOperator(float, (2,), (3,))
        with pytest.raises(NotImplementedError, match="ShapedOperator does not define"):
            op.apply(np.ones((1, 2)))
        with pytest.raises(NotImplementedError, match="_apply_adjoint"):
            op.apply_adjoint(np.ones((1, 3)))


class TestOptions:
    @pytest.mark.parametrize("flip", [False, True])
    @pytest.mark.parametrize(
        ("size", "given", "wanted"),
        [
            ((9,), {}, ((1,), ((0, 0),), (1,))),
            ((9,), {"padding": ((1, 2),)}, ((1,), ((1, 2),), (1,))),
            ((9,), {"stride": 2, "dilation": (3,)}, ((2,), ((0, 0),), (3,))),
            (
                (9, 8),
                {"padding": "same", "dilation": (1, 2)},
                ((1, 1), ((1, 1), (2, 2)), (1, 2)),
            ),
            (
                (9, 8, 7),
                {"padding": (0, 1, (2, 3)), "stride": (1, 2, 3)},
                ((1, 2, 3), ((0, 0), (1, 1), (2, 3)), (1, 1, 1)),
            ),
        ],
    )
    def test_are_spelt_out(self, size, given, wanted, flip):
        kernel = np.random.default_rng(0).standard_normal((4, 1, *(3,) * len(size)))
        op = ConvLinearOperator(
            kernel, (2, *size), groups=2, boundary="edge", flip=flip, **given
        )
        names = ("stride", "padding", "dilation", "groups", "boundary", "flip")
        wanted = (*wanted, 2, "replicate", flip)
        assert op.options == dict(zip(names, wanted))
        for name, value in op.options.items():
            assert getattr(op, name) == getattr(op.H, name) == value
        again = ConvLinearOperator(op.kernel, op.input_shape, **op.options)
        assert again.geometry == op.geometry and repr(again) == repr(op)
        np.testing.assert_array_equal(again.weights, op.weights)
        assert op.weights.shape == (4, 1, *(1,) * (3 - len(size)), *(3,) * len(size))

    @pytest.mark.parametrize(
        ("given", "shown"),
        [
            ({}, ""),
            ({"padding": 2}, ", padding=2"),
            ({"padding": (1, 2)}, ", padding=(1, 2)"),
            ({"padding": ((1, 2), 1)}, ", padding=((1, 2), (1, 1))"),
            ({"stride": (2, 2)}, ", stride=2"),
            ({"stride": (2, 1), "flip": True}, ", stride=(2, 1), flip=True"),
            ({"boundary": "wrap"}, ", boundary='periodic'"),
        ],
    )
    def test_are_shown_as_short_as_may_be(self, given, shown):
        op = ConvLinearOperator(np.ones((1, 1, 3, 3)), (1, 8, 8), **given)
        assert f"kernel (1, 1, 3, 3){shown}, dtype float64" in repr(op)

    def test_can_not_be_set(self):
        op = ConvLinearOperator(np.ones((1, 1, 3)), (1, 8))
        for name in (*op.options, "options", "weights", "kernel"):
            with pytest.raises(AttributeError):
                setattr(op, name, 1)
