"""The result of a solve, the registry, and the same bits every time."""

import dataclasses
import re

import numpy as np
import pytest

import convinv
from convinv import ConvergenceWarning, Status, solve
from support.problems import METHODS, VARIANTS, case, easy, every_method, run, variants


class TestSameBits:
    @variants
    def test_same_seed(self, variant):
        c, _ = easy(VARIANTS[variant][0])
        results = [run(variant, c.op, c.b, rng=seed)[0] for seed in (3, 3)]
        results.append(run(variant, c.op, c.b, rng=np.random.default_rng(3))[0])
        for other in results[1:]:
            np.testing.assert_array_equal(results[0].x, other.x)
            np.testing.assert_array_equal(results[0].history, other.history)


class TestResult:
    def test_it_is_frozen_and_prints(self):
        c = case("over")
        result = solve(c.op, c.b, "cgls")
        with pytest.raises(dataclasses.FrozenInstanceError):
            result.x = 3
        text = repr(result)
        for word in ("cgls", "True", "CONVERGED", "float64", "(56,)"):
            assert word in text
        assert result.seconds > 0

    def test_batches_print(self):
        c = case("over")
        b = np.stack([c.b, 2 * c.b]).reshape(2, *c.op.output_shape)
        assert "over 2 items" in repr(solve(c.op, b))

    def test_every_status_gives_advice(self):
        assert issubclass(ConvergenceWarning, UserWarning)
        values = [status.value for status in Status]
        assert len(set(values)) == len(values) == 8
        for status in Status:
            if status not in (Status.CONVERGED, Status.STOPPED):
                advice = r"\b(raise|use|check)\b"
                assert re.search(advice, status.value), status

    @every_method
    def test_registry(self, method):
        entry = METHODS[method]
        assert entry.name == method and entry.summary and "\n" not in entry.summary
        assert method in repr(entry) and str(entry.storage) and str(entry.products)
        assert entry.function.__doc__ and "4-digit" not in entry.summary

    def test_methods_lists_all(self):
        listed = convinv.methods()
        names = [m.name for m in listed]
        assert names == sorted(names) and set(names) > set(METHODS)
        assert {"cg", "cgls", "gmres", "lsqr", "lsmr", "gradient"} <= set(METHODS)

    def test_progress(self, capfd):
        c = case("over")
        result = solve(c.op, c.b, "cgls", progress=True)
        err = capfd.readouterr().err
        assert "cgls" in err and f"{result.nit}/" in err
        plain = solve(c.op, c.b, "cgls")
        assert capfd.readouterr() == ("", "")
        np.testing.assert_array_equal(plain.x, result.x)

    def test_floating_point_settings_are_left_alone(self):
        c = case("over")
        with np.errstate(all="raise"):
            before = np.geterr()
            solve(c.op, c.b, callback=lambda state: None)
            assert np.geterr() == before
