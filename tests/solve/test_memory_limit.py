"""max_memory: what it may be, what methods declare, and limits that are too small."""

import numpy as np
import pytest

from convinv import solve
from convinv._solve.memory import parse_bytes, vectors
from convinv.solvers import METHODS
from support.memory_cases import data, estimate_of, layer


class TestBytes:
    @pytest.mark.parametrize(
        ("value", "count"),
        [
            (5, 5), (2.5e9, 2.5e9), ("7", 7), ("2GB", 2e9), ("512MiB", 2**29),
            ("1.5 kB", 1500), ("3k", 3000), ("1e3 mib", 1000 * 2**20), ("4TiB", 2**42),
            (np.int64(9), 9),
        ],
    )  # fmt: skip
    def test_what_is_taken(self, value, count):
        assert parse_bytes(value) == count

    @pytest.mark.parametrize(
        ("value", "error"),
        [
            ("much", ValueError), ("", ValueError), ("1.2.3GB", ValueError),
            ("2XB", ValueError), ("-1GB", ValueError), (-1, ValueError),
            (float("nan"), ValueError), (True, TypeError), ([1], TypeError),
        ],
    )  # fmt: skip
    def test_what_is_not(self, value, error):
        op = layer()
        with pytest.raises(error, match="max_memory"):
            solve(op, data(op), max_memory=value)


class TestDeclared:
    @pytest.mark.parametrize("name", METHODS)
    def test_every_method_can_be_counted(self, name):
        """The parser's numbers are those that the string starts with."""
        entry = METHODS[name]
        counts = vectors(entry, {}, unknowns=1000)
        assert counts["m"] >= 0 and counts["n"] > 0
        shown = {
            "cg": (1, 2), "cgls": (2, 2), "lsqr": (2, 3), "lsmr": (2, 4),
            "gmres": (0, 50), "gradient": (2, 1), "strip": (3, 4), "direct": (0, 2),
        }  # fmt: skip
        if name in shown:
            assert (counts["m"], counts["n"]) == shown[name]

    def test_options_and_preconditioners_count(self):
        assert vectors(METHODS["gmres"], {"restart": 7})["n"] == 7
        assert vectors(METHODS["gmres"], {"restart": 70}, unknowns=30)["n"] == 30
        assert vectors(METHODS["gradient"], {"step": "adam"}) == {"m": 2, "n": 3}
        assert vectors(METHODS["gradient"], {"step": "fixed"}) == {"m": 2, "n": 1}
        assert vectors(METHODS["lsqr"], {}, preconditioned=True) == {"m": 2, "n": 4}
        assert vectors(METHODS["lsmr"], {}, preconditioned=True) == {"m": 2, "n": 6}


class TestTooLittle:
    def test_one_item_must_fit(self):
        op = layer()
        for b in (data(op), data(op, 3)):
            estimate = estimate_of(op, b, "cgls")
            with pytest.raises(MemoryError, match=r"1 kB.* needs about .* kB"):
                solve(op, b, "cgls", max_memory="1kB")
            enough = estimate.sliced(1)
            assert solve(op, b, "cgls", max_memory=enough).success
            with pytest.raises(MemoryError):
                solve(op, b, "cgls", max_memory=enough - 1)

    def test_before_any_work(self, monkeypatch):
        op = layer()
        b = data(op, 3)
        monkeypatch.setattr("convinv._solve.front.Run", None)
        with pytest.raises(MemoryError, match="of it for all"):
            solve(op, b.astype("float32"), max_memory=100)

    def test_a_single_right_hand_side(self):
        op = layer()
        b = data(op)
        found = solve(op, b, max_memory="1GB")
        assert found.extra["slices"] == 1
        np.testing.assert_allclose(found.x, solve(op, b).x, rtol=1e-5, atol=1e-5)
