"""What the estimates by which "auto" chooses say, against what the inverses do."""

import numpy as np
import pytest

from convinv import ConvLinearOperator, solve
from convinv._core.errors import MemoryLimit
from convinv._inverse.accuracy import left_by_border_correction, left_by_factor
from convinv._inverse.circulant import look
from convinv._inverse.gram_inverse import gram_of, side_of
from convinv._planning import costs
from convinv._planning.ways import Plan
from convinv._solve.auto import _Watch
from convinv.solvers.schwarz import border_corrected
from support.arrays import random

LEFT = {"schwarz": left_by_border_correction, "direct": left_by_factor}
OFF = 8  # times an estimate that what is left may be


def scaled(shape, input_shape, dtype="float64", **options):
    """A layer with weights as those of networks that have not been trained."""
    kernel = random(shape, dtype, seed=3) / np.sqrt(np.prod(shape[1:]))
    return ConvLinearOperator(kernel, input_shape, **options)


def test_large_images_take_the_memory_of_their_tiles():
    """Tiles share one torus, so that thick layers of large images may be inverted."""
    op = scaled((64, 16, 3, 3), (16, 1024, 1024), "float32")
    torus = 4 * 16**2 * 1024**2
    ways = Plan(op, 0.0, 1, 1e-6, memory=torus - 1).exact_ways
    assert {way.name for way in ways} == {"schwarz"}


@pytest.mark.parametrize("size", [300, 700])
def test_bytes_of_tiles(size):
    op = scaled((8, 2, 3, 3), (2, size, size))
    gram = gram_of(op, side_of(op))
    way = Plan(op, 0.0, 1, 1e-6).exact("schwarz", accuracy=1e-4)
    kept = border_corrected(op, 0.0, None, 1e-4).nbytes
    assert kept / 3 < way.cost.nbytes < 3 * kept
    whole = costs.circulant(gram, 1)
    assert (way.cost.nbytes < whole.nbytes) == (size == 700)


@pytest.mark.parametrize("decay", [1e-2, 1e-3, 1e-4, 1e-5])
@pytest.mark.parametrize("method", ["direct", "schwarz"])
@pytest.mark.parametrize(
    ("shape", "size", "options", "damp"),
    [
        ((8, 3, 3, 3), 64, {}, 0.0),
        ((6, 1, 3, 3), 96, {}, 0.0),
        ((2, 6, 3, 3), 64, {}, 0.1),
        ((2, 2, 3, 3), 128, {"padding": 1}, 0.3),
    ],
)
def test_what_an_application_leaves(shape, size, options, damp, method, decay):
    """No more than was estimated, but for a factor."""
    op = scaled(shape, (shape[1], size, size), **options)
    b = random(op.output_shape, seed=4)
    result = solve(
        op, b, method, accuracy=decay, damp=damp, maxiter=1, rtol=0.5, rtol_normal=0.5
    )
    norm = np.linalg.norm(op.adjoint(b))
    rcond = look(gram_of(op, side_of(op)), damp).rcond
    assert result.normal_residual_norm <= OFF * LEFT[method](decay, rcond) * norm


class TestAim:
    """Iterations go below the tolerance for the error of x, not at any price."""

    @staticmethod
    def watch(aim):
        op = scaled((8, 3, 3, 3), (3, 20, 20))
        plan = Plan(op, 0.0, 1, 1e-6)
        watch = _Watch(op, plan, plan.cgls(), aim)
        watch.next = 10**6  # nothing else is looked for
        return watch

    def test_ends_where_it_takes_long(self):
        watch = self.watch(0.01)
        assert not any(watch(1e4) for _ in range(20))
        said = [watch(50.0) for _ in range(10)]  # the tolerance is reached, the aim not
        assert said.index(True) == 7 and watch.is_over_aim

    def test_is_reached_where_that_is_near(self):
        watch = self.watch(0.01)
        assert not any(watch(1e4) for _ in range(20))
        assert not watch(50.0) and not watch(0.9) and not watch.is_over_aim

    def test_ill_conditioned_layers(self):
        """An aim that is given up is a success all the same."""
        kernel = np.ones((1, 1, 3)) + 1e-3 * random((1, 1, 3), seed=1)
        op = ConvLinearOperator(kernel, (1, 400), padding=1)
        b = op.forward(random(op.input_shape, seed=2))
        result = solve(op, b)
        assert result.success
        assert result.residual_norm <= 1e-6 * np.linalg.norm(b)


def square():
    """A square layer with nothing kept, of condition 1e4."""
    kernel = np.random.default_rng(0).standard_normal((4, 4, 3, 3))
    return ConvLinearOperator(kernel, (4, 20, 20), padding=1)


class TestSquareLayers:
    """Their singular values at the borders are much smaller than in the interior."""

    @pytest.fixture
    def op(self):
        return square()

    def test_iterations_that_are_a_guess_do_not_cost_least(self):
        op = ConvLinearOperator(random((32, 32, 3, 3)), (32, 24, 24), padding=1)
        plan = Plan(op, 0.0, 1, 1e-8, maxiter=10000)
        assert plan.cgls().applications > plan.maxiter
        assert plan.first().name == "direct"

    def test_a_count_that_was_made_is_no_guess(self, op):
        plan = Plan(op, 0.0, 1, 1e-8)
        plan.finish(plan.cgls(), 1234)
        assert plan.cgls().applications == 1234

    def test_a_failure_names_the_memory_that_helps(self, op):
        x = random(op.input_shape, seed=6)
        b = op.forward(x)
        options = {"rtol": 1e-8, "maxiter": 1500, "on_failure": "ignore"}
        failed = solve(op, b, max_memory="3 MB", **options)
        assert not failed.success and failed.method == "cgls"
        assert "more than the 3 MB allowed" in failed.message
        assert "ill-conditioned; a damp helps" in failed.message
        named = failed.message.partition("max_memory='")[2].partition("'")[0]
        found = solve(op, b, max_memory=named, **options)
        assert found.success and found.method == "direct"
        np.testing.assert_allclose(found.x, x, atol=1e-5)  # of an ill-conditioned layer

    def test_a_failure_is_no_count(self, op):
        b = op.forward(np.ones(op.input_shape))
        options = {"rtol": 1e-8, "maxiter": 300, "on_failure": "ignore"}
        assert not solve(op, b, max_memory="3 MB", **options).success
        assert Plan(op, 0.0, 1, 1e-8).cgls().applications > 400

    def test_iterations_hand_over_where_they_stagnate(self, op):
        """Also where their estimate has made them the first choice."""
        plan = Plan(op, 0.0, 1, 1e-8, maxiter=10000)
        plan.finish(plan.cgls(), 5)  # what an easier right-hand side took
        x = random(op.input_shape, seed=6)
        found = solve(op, op.forward(x), rtol=1e-8)
        assert found.success and found.method == "direct"
        assert found.message.count("cgls: it costs least") == 1
        np.testing.assert_allclose(found.x, x, atol=1e-7)


class TestMemoryOfDirect:
    """It refuses what is too large before any work, and takes what solve allows."""

    @pytest.fixture
    def made(self, monkeypatch):
        """The limits of factors, which are not made."""
        limits = []

        def factored(op, damp, axis, memory, accuracy, shift):
            limits.append(memory)
            raise MemoryLimit("so a test says")

        monkeypatch.setattr("convinv.solvers.direct.factored", factored)
        return limits

    def test_it_refuses_at_once(self, made):
        op = square()
        b = op.forward(np.ones(op.input_shape))
        with pytest.raises(ValueError, match="at least 3.072 MB, more than the 3 MB"):
            solve(op, b, "direct", memory=3e6)
        assert not made

    @pytest.mark.parametrize(
        ("options", "limit"),
        [
            ({}, 2**30),
            ({"max_memory": "4GB"}, 4e9),
            ({"max_memory": "4GB", "memory": 2e9}, 2e9),
            ({"max_memory": "100MB"}, 2**30),
        ],
    )
    def test_its_limit(self, made, options, limit):
        op = square()
        b = op.forward(np.ones(op.input_shape))
        with pytest.raises(ValueError, match="so a test says"):
            solve(op, b, "direct", **options)
        assert made == [limit]
