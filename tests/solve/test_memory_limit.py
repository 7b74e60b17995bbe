"""max_memory: what it may be, what methods declare, and limits that are too small."""

import numpy as np
import pytest

from convinv import solve
from convinv._core.byte_counts import parse_bytes
from convinv._core.declarations import Use
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


class TestVectors:
    """What methods declare, and one of each length for the products they hold."""

    @staticmethod
    def counted(name, **given):
        op = layer((6, 1, 3, 3), 12)
        options = given.pop("options", {})
        use = Use(op, options, 8, 8, **given)
        return METHODS[name].at(options).vectors(use)

    @pytest.mark.parametrize(
        ("name", "m", "n"),
        [
            ("cg", 1, 2), ("cgls", 2, 2), ("lsqr", 2, 3), ("lsmr", 2, 4),
            ("gmres", 0, 50), ("gradient", 2, 1),
        ],
    )  # fmt: skip
    def test_methods(self, name, m, n):
        assert self.counted(name) == (m + 1, n + 1)
        assert self.counted(name, fused=False) == (m + 2, n + 2)

    @pytest.mark.parametrize(
        ("name", "options", "n"),
        [
            ("gmres", {"restart": 7}, 7),
            ("gmres", {"restart": 700}, 144),  # unknowns
            ("gradient", {"step": "adam"}, 3),
            ("gradient", {"step": "fixed"}, 1),
        ],
    )
    def test_options_count(self, name, options, n):
        assert self.counted(name, options=options)[1] == n + 1

    def test_preconditioners_count(self):
        assert self.counted("lsqr", preconditioned=True) == (3, 5)
        assert self.counted("lsmr", preconditioned=True) == (3, 7)
        assert self.counted("cgls", preconditioned=True) == (3, 3)

    def test_damp_counts(self):
        """With [A; damp I], vectors as long as the data have n more."""
        plain, damped = self.counted("lsqr"), self.counted("lsqr", damped=True)
        assert damped[1] - plain[1] >= plain[0]
        rows, columns = self.counted("kaczmarz", damped=True)
        assert (rows, columns) == (1 + 2, 3)  # three of the four are shared

    def test_what_a_batch_shares(self):
        op = layer((6, 1, 3, 3), 12)
        shared = METHODS["kaczmarz"].storage.shared(Use(op, {}, 8, 8))
        assert shared >= 3 * 8 * op.shape[0]
        assert METHODS["cgls"].storage.shared(Use(op, {}, 8, 8)) == 0

    def test_every_method_declares(self):
        for method in METHODS.values():
            storage = method.storage
            assert storage.m or storage.n or storage.gram
            assert str(storage) and str(method.products)


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
        monkeypatch.setattr("convinv._solve.task.Run", None)
        with pytest.raises(MemoryError, match="of it for all"):
            solve(op, b.astype("float32"), "direct", max_memory=100)

    def test_a_single_right_hand_side(self):
        op = layer()
        b = data(op)
        found = solve(op, b, rtol=1e-10, max_memory="1GB")
        assert found.extra["slices"] == 1
        wanted = solve(op, b, rtol=1e-10).x
        np.testing.assert_allclose(found.x, wanted, rtol=1e-5, atol=1e-5)
