"""Items of a batch are solved as if alone."""

import numpy as np
import pytest

from convinv import ConvergenceWarning, Status, solve
from support.problems import LOOSE, VARIANTS, case, easy, run, variants


class TestBatch:
    @variants
    def test_items_are_solved_as_if_alone(self, variant):
        c, _ = easy(VARIANTS[variant][0])
        rng = np.random.default_rng(6)
        s = np.linalg.svd(c.A)[2][0]
        # an easy item (a singular vector), a hard one, zero, a huge and a tiny one
        x = np.stack([s, c.x, 0 * s, 1e30 * rng.standard_normal(s.size), 1e-30 * c.x])
        b = x @ c.A.T
        kwargs = {"rtol": LOOSE, "maxiter": 400, "rng": 0}
        if variant == "schwarz":  # the accuracy that costs least depends on the batch
            kwargs["accuracy"] = 3e-6
        batch, _ = run(variant, c.op, b.reshape(5, *c.op.output_shape), **kwargs)
        for i, item in enumerate(b):
            alone, _ = run(variant, c.op, item, **kwargs)
            assert batch.extra["status"][i] is alone.status
            assert batch.extra["success"][i] == alone.success
            if "fixed" in variant:  # the norm's estimate depends on the batch
                continue
            if batch.extra["nit"][i] != alone.nit:  # rounding carried a norm over
                assert abs(batch.extra["nit"][i] - alone.nit) <= 1 + alone.nit // 20
                size = c.singular[0] * np.linalg.norm(alone.x)
                bound = 1.1 * alone.residual_norm + LOOSE * size
                assert batch.residual_norm[i] <= bound
                continue
            close = 1e-8 * np.linalg.norm(alone.x)
            assert np.linalg.norm(batch.x[i].ravel() - alone.x) <= close
            floor = 1e-12 * c.singular[0] * np.linalg.norm(item)
            close = pytest.approx(alone.residual_norm, rel=1e-4, abs=floor)
            assert batch.residual_norm[i] == close
            if alone.nit:
                close = {"rtol": 1e-3, "atol": floor * c.singular[0]}
                history = batch.history[: alone.nit, i]
                np.testing.assert_allclose(history, alone.history, **close)
                np.testing.assert_array_equal(
                    batch.history[alone.nit :, i], batch.history[alone.nit - 1, i]
                )
        assert batch.extra["nit"][2] == 0 and not batch.x[2].any()
        assert batch.nit == batch.extra["nit"].max()

    def test_difficult_items_take_longer(self):
        c = case("definite")
        values, vectors = np.linalg.eigh(c.A)
        b = np.stack([vectors[:, 0], vectors[:, :2].sum(1), c.b])
        result = solve(c.op, b.reshape(3, *c.op.output_shape), "cgls")
        assert list(result.extra["nit"][:2]) == [1, 2] and result.extra["nit"][2] > 5

    def test_one_item_that_fails(self):
        c = case("inconsistent")
        good = c.A @ c.x
        b = np.stack([good, c.b]).reshape(2, *c.op.output_shape)
        with pytest.warns(ConvergenceWarning):
            result = solve(c.op, b, "cgls", rtol=1e-3, maxiter=3)
        assert not result.success and not result.extra["success"].all()
        with pytest.warns(ConvergenceWarning):
            result = solve(
                c.op,
                b,
                "cgls",
                rtol=1e-9,
                maxiter=5,
                x0=np.stack([c.x, 0 * c.x]).reshape(2, *c.op.input_shape),
            )
        assert list(result.extra["success"]) == [True, False]
        assert list(result.extra["status"]) == [Status.CONVERGED, Status.MAXITER]
        assert result.status is Status.MAXITER and list(result.extra["nit"]) == [0, 5]
