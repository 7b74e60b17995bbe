"""The STRIP paper's arrangements of rows: measures, orders, pictures."""

import numpy as np
import pytest

from convinv import ConvLinearOperator, gallery, strips
from support import oracles
from support.columns import column

pytest.importorskip("sklearn")


# Arrangements


def small_arrangements(load):
    """A small problem with wide strips, and `Found` of every arrangement."""
    op = ConvLinearOperator(gallery.conv_layer(3, 5, rng=1), (3, 9, 9))
    images = np.random.default_rng(0).uniform(-1, 1, (2, 3, 9, 9))
    made = load("strip.problems").problem(op, images, 0.01, np.random.default_rng(1))
    return op, made, load("strip.arrangements").compared(op, made, samples=4)


def dense_sweep(A, blocks, b):
    """One sweep from 0 with pseudoinverses of whole blocks, and its K."""
    x, K = np.zeros((len(b), A.shape[1])), np.eye(A.shape[1])
    for rows in blocks:
        inverse = oracles.pinv(A[rows])
        x += (b[:, rows] - x @ A[rows].T) @ inverse.T
        K -= inverse @ (A[rows] @ K)
    return x, K


def test_arrangements_are_those_of_dense_matrices(load):
    op, made, found = small_arrangements(load)
    A, b = op.tosparse().toarray(), made.b.reshape(2, -1)
    pinv, images = b @ oracles.pinv(A).T, made.x.reshape(2, -1)
    assert list(found) == ["strip", "interleaved", "standard", "randomized"]
    for kind, one in found.items():
        blocks = strips.arrangement(op, kind, rng=0)
        x, K = dense_sweep(A, blocks, b)
        clean, _ = dense_sweep(A, blocks, images @ A.T)
        np.testing.assert_allclose(one.x.ravel(), x[0], atol=1e-10)
        level = -10 * np.log10(np.mean((x - pinv) ** 2))
        assert one.level == pytest.approx(level, abs=1e-4)
        level = -10 * np.log10(np.mean((clean - images) ** 2))
        assert one.clean == pytest.approx(level, abs=1e-4)
        idempotency = np.linalg.norm(K - K @ K)
        assert idempotency > 0.1
        assert one.analysis.idempotency.value == pytest.approx(idempotency)
        shape = load("strip.arrangements").largest(one.analysis)
        sizes = [(len(r), np.count_nonzero(A[r].any(axis=0))) for r in blocks]
        assert shape == "{} x {}".format(*max(sizes, key=np.prod))


def test_a_sweep_is_an_iteration_of_rbk(load):
    op, made, found = small_arrangements(load)
    quietly = load("strip.problems").quietly
    for kind in ("strip", "interleaved", "standard"):
        options = {"partition": kind, "order": "cyclic", "maxiter": 1, "rtol": 0}
        x = quietly(op, made.b, "rbk", **options).x
        np.testing.assert_allclose(found[kind].x, x[0], atol=1e-10)


def test_arrangements(load):
    pytest.importorskip("torch")
    arrangements, case = load("strip.arrangements"), load("strip.problems").Case(28, 3)
    found = arrangements.outcome((case,), {"initial": 1, "trained": 1}, 4, 2, {})
    assert set(found.figures) == {"arrangements-28", "arrangements-rows"}
    table, layers, rounding = found.tables
    assert column(table, "blocks") == [13] * 4
    blocks = column(table, "largest block")
    assert blocks[:2] == ["416 x 112", "416 x 168"]
    norms = [float(word) for word in column(table, "K - K^2")]
    assert max(norms[:2]) < 1e-12 and 0.3 < norms[2] < norms[3] < 2
    assert [row[4] for row in table.rows] == ["0.001", "0.001", "0.495", "0.653"]
    assert [row[8] for row in table.rows] == ["43.78", "40.29", "35.35", "15.49"]
    assert column(table, "(K - K_perp)^2")[0] == "672"  # unknowns in two strips
    levels = [float(word) for word in column(table, "PSNR 1%")]
    assert 40 < levels[1] < levels[0] < 50 and max(levels[2:]) < 40
    clean = [float(word) for word in column(table, "PSNR without noise")]
    assert min(clean[:2]) > 250 and max(clean[2:]) < 60
    assert column(layers, "layer") == ["initial, rng=0", "trained, rng=0"]
    assert float(column(layers, "dB strip")[0]) == levels[0]
    assert layers.rows[0][2:] != layers.rows[1][2:]
    for row in rounding.rows:
        double, single, bits, printed = map(float, row[2:])
        assert double < 1e-12 < 1e-7 < single < 1e-4 < bits < 0.1
        assert printed == 0.001
    assert not found.failed and [claim.soft for claim in found.claims] == [
        *(False, False),
        *(True, True),
    ]


def test_narrow_numbers(load):
    arrangements = load("strip.arrangements")
    a = np.float32([1.0, 2047, 2049, 1 + 2**-10, 1 + 2**-11 + 2**-20, -3e-30, 0])
    want = np.float32([1.0, 2047, 2048, 1 + 2**-10, 1 + 2**-10, 0, 0])
    got = arrangements.narrow(a)
    assert got.dtype == np.float32
    np.testing.assert_array_equal(np.delete(got, 5), np.delete(want, 5))
    many = np.random.default_rng(0).standard_normal(1000).astype("float32")
    errors = np.abs(arrangements.narrow(many) / many - 1)
    assert 2**-12.5 < errors.max() <= 2**-11


def test_rounding_of_strips(load):
    """Against the product of the local matrices, written out."""
    rounded = load("strip.arrangements").rounded
    op = ConvLinearOperator(gallery.conv_layer(1, 8, rng=0), (1, 8, 8))
    blocks = strips.sweep_analysis(op, "strip", h_b=12).blocks

    def coarse(a):
        return np.round(a, 1)

    K = np.eye(64)
    for label, columns in zip(blocks.labels, blocks.columns):
        A = blocks.matrices[label]
        step, local = np.eye(64), np.eye(len(columns))
        local -= coarse(oracles.pinv(A)) @ coarse(A)
        step[np.ix_(columns, columns)] = local
        K = step @ K
    found = rounded(blocks, coarse, samples=4000)
    assert found == pytest.approx(np.linalg.norm(K - K @ K), rel=0.05)
    assert rounded(blocks) < 1e-5


def test_the_paper_s_order(load):
    arrangements = load("strip.arrangements")

    def rising(*values, error=0.0):
        return arrangements.is_rising([strips.Measure(v, error) for v in values])

    assert rising(0.1, 24.0, 30.0, 31.0) and rising(3e-14, 1e-14, 0.5, 0.6)
    assert not rising(0.1, 24.0, 19.0, 31.0) and not rising(0.0, 0.5, 1e-14, 0.6)
    assert rising(1.0, 2.0, error=0.1) and not rising(1.0, 2.0, error=0.5)
    assert arrangements.is_falling([3, 2, 1]) and not arrangements.is_falling([3, 1, 1])
    rows = [[4.0, 3.0, 2.0, 1.0], [4.0, 3.0, 1.0, 2.0]]
    claim = arrangements.order_claim("falls", rows, arrangements.is_falling, str)
    assert not claim.holds and claim.soft and "in 1 of 2 layers" in claim.found
    assert "strip 4.0, interleaved 3.0" in claim.found
    claim = arrangements.order_claim("", rows[:1], arrangements.is_falling, str)
    assert claim.holds
    for size in (28, 64):
        printed = list(load("strip.paper").ARRANGEMENTS[size].values())
        assert rising(*[p[0] for p in printed]) == (size == 64)  # the first tie
        assert arrangements.is_falling([p[1] for p in printed])


def test_rows_of_arrangements(load):
    arrangements = load("strip.arrangements")
    figure = arrangements.rows_drawn(arrangements.SMALL, 2)
    drawn = {ax.get_title(): ax.images[0].get_array() for ax in figure.axes[:4]}
    assert list(drawn) == list(arrangements.KINDS)
    for kind, picture in drawn.items():
        rows = strips.arrangement(arrangements.SMALL, kind, strips=2, rng=0)
        np.testing.assert_array_equal(np.flatnonzero(picture == 1), np.sort(rows[1]))
