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


# Made by an earlier version, in whose state options and caches were others.
OLD = {
    "layer": """
        gASVdQIAAAAAAACMHmNvbnZpbnYub3BlcmF0b3JzLl9jb252b2x1dGlvbpSMEkNvbnZMaW5lYXJP
        cGVyYXRvcpSTlCmBlH2UKIwIX29wdGlvbnOUfZQojAZzdHJpZGWUSwJLAYaUjAdwYWRkaW5nlEsB
        SwCGlEsBSwKGlIaUjAhkaWxhdGlvbpRLAYwGZ3JvdXBzlEsCjAhib3VuZGFyeZSMCHBlcmlvZGlj
        lIwEZmxpcJSIdYwIZ2VvbWV0cnmUjBZjb252aW52Ll9jb3JlLmdlb21ldHJ5lIwIR2VvbWV0cnmU
        k5QoSwJLAksCSwFLBEsDh5RLAUsCSwOHlEsBSwJLBIeUSwFLAksBh5RLAUsBSwGHlEsASwFLAYeU
        SwBLAEsCh5RoEEsCdJSBlIwCeHCUjAVudW1weZSMB19rZXJuZWyUjBZudW1weS5fY29yZS5tdWx0
        aWFycmF5lIwMX3JlY29uc3RydWN0lJOUaCCMB25kYXJyYXmUk5RLAIWUQwFilIeUUpQoSwEoSwJL
        AUsCSwN0lGggjAVkdHlwZZSTlIwCYziUiYiHlFKUKEsDjAE8lE5OTkr/////Sv////9LAHSUYolD
        YAAAoMAAAAAAAACAwAAAAAAAAEDAAAAAAAAAAMAAAAAAAACAvwAAAAAAAAAAAAAAAAAAAAAAAIA/
        AAAAAAAAAEAAAAAAAABAQAAAAAAAAIBAAAAAAAAAoEAAAAAAAADAQJR0lGKMBl9wbGFuc5R9lIwL
        aW5wdXRfc2hhcGWUSwJLBEsDh5SMDG91dHB1dF9zaGFwZZRLAksCSwSHlIwFZHR5cGWUaDCMBXNo
        YXBllEsQSxiGlHViLg==
    """,
    "adjoint": """
        gASVvgIAAAAAAACMHmNvbnZpbnYub3BlcmF0b3JzLl9jb252b2x1dGlvbpSMC0NvbnZBZGpvaW50
        lJOUKYGUfZQojAVsYXllcpRoAIwSQ29udkxpbmVhck9wZXJhdG9ylJOUKYGUfZQojAhfb3B0aW9u
        c5R9lCiMBnN0cmlkZZRLAksBhpSMB3BhZGRpbmeUSwFLAIaUSwFLAoaUhpSMCGRpbGF0aW9ulEsB
        jAZncm91cHOUSwKMCGJvdW5kYXJ5lIwIcGVyaW9kaWOUjARmbGlwlIh1jAhnZW9tZXRyeZSMFmNv
        bnZpbnYuX2NvcmUuZ2VvbWV0cnmUjAhHZW9tZXRyeZSTlChLAksCSwJLAUsESwOHlEsBSwJLA4eU
        SwFLAksEh5RLAUsCSwGHlEsBSwFLAYeUSwBLAUsBh5RLAEsASwKHlGgVSwJ0lIGUjAJ4cJSMBW51
        bXB5lIwHX2tlcm5lbJSMFm51bXB5Ll9jb3JlLm11bHRpYXJyYXmUjAxfcmVjb25zdHJ1Y3SUk5Ro
        JYwHbmRhcnJheZSTlEsAhZRDAWKUh5RSlChLAShLAksBSwJLA3SUaCWMBWR0eXBllJOUjAJjOJSJ
        iIeUUpQoSwOMATyUTk5OSv////9K/////0sAdJRiiUNgAACgwAAAAAAAAIDAAAAAAAAAQMAAAAAA
        AAAAwAAAAAAAAIC/AAAAAAAAAAAAAAAAAAAAAAAAgD8AAAAAAAAAQAAAAAAAAEBAAAAAAAAAgEAA
        AAAAAACgQAAAAAAAAMBAlHSUYowGX3BsYW5zlH2UjAtpbnB1dF9zaGFwZZRLAksESwOHlIwMb3V0
        cHV0X3NoYXBllEsCSwJLBIeUjAVkdHlwZZRoNYwFc2hhcGWUSxBLGIaUdWJoJGgljAtfdHJhbnNw
        b3NlZJROaDxoP2g+aD1oQGg1aEFLGEsQhpR1Yi4=
    """,
    "expression": """
        gASVjAMAAAAAAACMF2NvbnZpbnYub3BlcmF0b3JzLl9iYXNllIwLU3VtT3BlcmF0b3KUk5QpgZR9
        lCiMAWGUaACMDlNjYWxlZE9wZXJhdG9ylJOUKYGUfZQojAJvcJRoAIwPUHJvZHVjdE9wZXJhdG9y
        lJOUKYGUfZQoaAWMHmNvbnZpbnYub3BlcmF0b3JzLl9jb252b2x1dGlvbpSMC0NvbnZBZGpvaW50
        lJOUKYGUfZQojAVsYXllcpRoD4wSQ29udkxpbmVhck9wZXJhdG9ylJOUKYGUfZQojAhfb3B0aW9u
        c5R9lCiMBnN0cmlkZZRLAYwHcGFkZGluZ5SMBHNhbWWUjAhkaWxhdGlvbpRLAYwGZ3JvdXBzlEsB
        jAhib3VuZGFyeZSMBHplcm+UjARmbGlwlIl1jAhnZW9tZXRyeZSMFmNvbnZpbnYuX2NvcmUuZ2Vv
        bWV0cnmUjAhHZW9tZXRyeZSTlChLAUsBSwFLAUsBSwSHlEsBSwFLA4eUSwFLAUsEh5RLAUsBSwGH
        lEsBSwFLAYeUSwBLAEsBh5RLAEsASwGHlGghSwF0lIGUjAJ4cJSMBW51bXB5lIwHX2tlcm5lbJSM
        Fm51bXB5Ll9jb3JlLm11bHRpYXJyYXmUjAxfcmVjb25zdHJ1Y3SUk5RoMYwHbmRhcnJheZSTlEsA
        hZRDAWKUh5RSlChLAUsBSwFLA4eUaDGMBWR0eXBllJOUjAJmOJSJiIeUUpQoSwOMATyUTk5OSv//
        //9K/////0sAdJRiiUMYAAAAAAAA8D8AAAAAAADwPwAAAAAAAPA/lHSUYowGX3BsYW5zlH2UjAtp
        bnB1dF9zaGFwZZRLAUsEhpSMDG91dHB1dF9zaGFwZZRLAUsEhpSMBWR0eXBllGhBjAVzaGFwZZRL
        BEsEhpR1YmgwaDGMC190cmFuc3Bvc2VklE5oSGhLaEpoSWhMaEFoTUsESwSGlHVijAFilGgXaDBo
        MWhIaEloSmhJaExoPowCZjiUiYiHlFKUKEsDaEJOTk5K/////0r/////SwB0lGJoTUsESwSGlHVi
        jAZmYWN0b3KUSwJoMGgxaEhoSWhKaEloTGhUaE1LBEsEhpR1YmhRaACMEElkZW50aXR5T3BlcmF0
        b3KUk5QpgZR9lChoMGgxaEhoSWhKaEtoTGhBaE1LBEsEhpR1YmgwaDFoSGhJaEpoSWhMaFRoTUsE
        SwSGlHViLg==
    """,
    "mask": """
        gASVZgMAAAAAAACMF2NvbnZpbnYub3BlcmF0b3JzLl9iYXNllIwPUHJvZHVjdE9wZXJhdG9ylJOU
        KYGUfZQojAFhlIwbY29udmludi5vcGVyYXRvcnMuX3NhbXBsaW5nlIwMTWFza09wZXJhdG9ylJOU
        KYGUfZQojAJ4cJSMBW51bXB5lIwHX3BsYWNlc5SMFm51bXB5Ll9jb3JlLm11bHRpYXJyYXmUjAxf
        cmVjb25zdHJ1Y3SUk5RoDIwHbmRhcnJheZSTlEsAhZRDAWKUh5RSlChLAUsDhZRoDIwFZHR5cGWU
        k5SMAmk4lImIh5RSlChLA4wBPJROTk5K/////0r/////SwB0lGKJQxgAAAAAAAAAAAIAAAAAAAAA
        AwAAAAAAAACUdJRijAtpbnB1dF9zaGFwZZRLBIWUjAxvdXRwdXRfc2hhcGWUSwOFlIwFZHR5cGWU
        aBmMAmY0lImIh5RSlChLA2gdTk5OSv////9K/////0sAdJRijAVzaGFwZZRLA0sEhpR1YowBYpSM
        HmNvbnZpbnYub3BlcmF0b3JzLl9jb252b2x1dGlvbpSMEkNvbnZMaW5lYXJPcGVyYXRvcpSTlCmB
        lH2UKIwIX29wdGlvbnOUfZQojAZzdHJpZGWUSwGMB3BhZGRpbmeUjARzYW1llIwIZGlsYXRpb26U
        SwGMBmdyb3Vwc5RLAYwIYm91bmRhcnmUjAR6ZXJvlIwEZmxpcJSJdYwIZ2VvbWV0cnmUjBZjb252
        aW52Ll9jb3JlLmdlb21ldHJ5lIwIR2VvbWV0cnmUk5QoSwFLAUsBSwFLAUsEh5RLAUsBSwOHlEsB
        SwFLBIeUSwFLAUsBh5RLAUsBSwGHlEsASwBLAYeUSwBLAEsBh5RoOksBdJSBlGgLaAyMB19rZXJu
        ZWyUaBBoEksAhZRoFIeUUpQoSwFLAUsBSwOHlGgZjAJmOJSJiIeUUpQoSwNoHU5OTkr/////Sv//
        //9LAHSUYolDGAAAAAAAAPA/AAAAAAAA8D8AAAAAAADwP5R0lGKMBl9wbGFuc5R9lGghSwFLBIaU
        aCNLAUsEhpRoJWhQaCpLBEsEhpR1YmgLaAxoIWhWaCNoJGglaBmMAmY4lImIh5RSlChLA2gdTk5O
        Sv////9K/////0sAdJRiaCpLA0sEhpR1Yi4=
    """,
}


def old(name):
    return pickle.loads(base64.b64decode(OLD[name]))


class TestOldPickles:
    def expected(self):
        kernel = (np.arange(12.0).reshape(2, 1, 2, 3) - 5).astype("complex64")
        kernel[1] *= 1j
        return ConvLinearOperator(
            kernel,
            (2, 4, 3),
            stride=(2, 1),
            padding=((1, 0), (1, 2)),
            groups=2,
            boundary="periodic",
            flip=True,
        )

    @pytest.mark.parametrize("name", ["layer", "adjoint"])
    def test_layers(self, name):
        op, expected = old(name), self.expected()
        if name == "adjoint":
            expected = expected.H
        assert repr(op) == repr(expected) and op.options == expected.options
        assert op.cached_keys == [] and not hasattr(op.layer, "_options")
        x = np.arange(op.shape[1]) - 3j
        np.testing.assert_array_equal(op @ x, expected @ x)
        np.testing.assert_array_equal(op.rmatvec(op @ x), expected.rmatvec(op @ x))
        again = pickle.loads(pickle.dumps(op))
        np.testing.assert_array_equal(again @ x, expected @ x)

    def test_expressions(self):
        three = np.eye(4) + np.eye(4, k=1) + np.eye(4, k=-1)
        x = np.arange(4.0)
        normal, masked = old("expression"), old("mask")
        np.testing.assert_allclose(normal @ x, 2 * three @ three @ x + x)
        np.testing.assert_allclose(masked @ x, (three @ x)[[0, 2, 3]])
        assert normal.has_adjoint and masked.coisometry is False
