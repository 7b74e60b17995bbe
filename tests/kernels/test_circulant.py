"""Products with circulant blocks on the CPU against slow oracles."""

import numpy as np
import pytest

from convinv._core import threads
from convinv.kernels.circulant import cpu as circulant_cpu
from support import oracles
from support.arrays import every_dtype, random
from support.circulants import circulant_parts
from support.vector_calls import assert_close

TORI = {
    "1-D": (1, 1, 600),
    "1-D odd": (1, 1, 9),
    "2-D": (1, 12, 40),
    "2-D odd": (1, 6, 7),
    "odd rows": (1, 7, 6),
    "3-D": (4, 3, 8),
    "two samples": (1, 1, 2),
    "one sample": (1, 1, 1),
    "last axis of one": (5, 2, 1),
}


def random_blocks(groups, p, q, torus, dtype):
    """Blocks at all frequencies; for real data they need not be those of a real map."""
    last = torus[2] if np.dtype(dtype).kind == "c" else torus[2] // 2 + 1
    return random((groups, p, q, *torus[:2], last), "complex128", 9)


class TestCirculant:
    @staticmethod
    def check(torus, dtype, shape, size=None, grid=None):
        batch, groups, p, q = shape
        blocks = random_blocks(groups, p, q, torus, dtype)
        plan = circulant_cpu.prepare(blocks, torus, dtype)
        v = random((batch, groups, q, *(size or torus)), dtype)
        before = v.copy()
        got = circulant_cpu.apply(plan, v, grid)
        expected = oracles.circulant_apply(blocks, torus, v, grid or v.shape[3:])
        assert got.dtype == dtype and got.flags.c_contiguous and got.flags.writeable
        assert not np.may_share_memory(got, v)
        assert_close(got, expected, dtype, 50)
        np.testing.assert_array_equal(v, before)

    @pytest.mark.parametrize("torus", TORI)
    @pytest.mark.parametrize("shape", [(1, 1, 1, 1), (3, 2, 3, 3), (2, 1, 2, 3)])
    @every_dtype
    def test_equals_oracle(self, dtype, torus, shape):
        self.check(TORI[torus], dtype, shape)

    @pytest.mark.parametrize("torus", TORI)
    @every_dtype
    def test_extends_and_crops(self, dtype, torus):
        torus = TORI[torus]
        size = tuple(max(n - 2, 1) for n in torus)
        grid = tuple(max(n - 1, 1) for n in torus)
        for p in (2, 1):
            self.check(torus, dtype, (2, 1, p, 2), size)
            self.check(torus, dtype, (2, 1, p, 2), size, grid)
            self.check(torus, dtype, (2, 1, p, 2), torus, size)
            self.check(torus, dtype, (2, 1, p, 2), size, torus)

    @pytest.mark.parametrize("q", [1, 2, 3, 4, 5, 6, 7, 8, 13])
    @pytest.mark.parametrize("dtype", ["float32", "complex128"])
    def test_thick_blocks(self, dtype, q):
        self.check((1, 6, 8), dtype, (2, 1, 5, q))

    @pytest.mark.parametrize("size", [(1, 6, 8), (1, 4, 7)])
    @pytest.mark.parametrize("piece", [2**8, 2**12, 2**20])
    @pytest.mark.parametrize("whole", [2**8, 2**12])
    @every_dtype
    def test_pieces(self, monkeypatch, dtype, piece, whole, size):
        """However the items and the threads are shared out."""
        monkeypatch.setattr(circulant_cpu, "PIECE", piece)
        monkeypatch.setattr(circulant_cpu, "WHOLE", whole)
        monkeypatch.setattr(circulant_cpu, "SMALL", whole)
        monkeypatch.setattr(threads, "SERIAL_WORK", 1)
        for torus in ((1, 6, 8), (1, 6, 9)):
            self.check(torus, dtype, (13, 1, 2, 2), size)
            self.check(torus, dtype, (13, 1, 2, 3), size)

    @pytest.mark.parametrize("dtype", ["float32", "float64"])
    def test_rows_moved_apart(self, monkeypatch, dtype):
        """As is done with long columns of rows that meet in the caches."""
        monkeypatch.setattr(circulant_cpu, "PAGE", 32)
        monkeypatch.setattr(circulant_cpu, "MANY", 4)
        for torus in ((1, 6, 8), (3, 5, 16)):
            for shape in ((2, 1, 2, 2), (2, 2, 1, 3)):
                self.check(torus, dtype, shape)
                self.check(torus, dtype, shape, grid=(1, 5, 7))
        blocks = random_blocks(1, 1, 1, torus, dtype)
        assert circulant_cpu.prepare(blocks, torus, dtype).padding > 0

    @pytest.mark.parametrize("torus", ["2-D", "3-D", "2-D odd", "1-D"])
    @every_dtype
    def test_tiles(self, monkeypatch, dtype, torus):
        monkeypatch.setattr(threads, "SERIAL_WORK", 1)
        torus = TORI[torus]
        halo = tuple((n - 1) // 3 for n in torus)
        core = tuple(n - 2 * h for n, h in zip(torus, halo))
        for p, q in ((2, 2), (1, 3)):
            blocks = random_blocks(2, p, q, torus, dtype)
            plan = circulant_cpu.prepare(blocks, torus, dtype)
            for size in (tuple(2 * n + 1 for n in torus), torus, (1, 1, 1)):
                v = random((3, 2, q, *size), dtype)
                want = oracles.circulant_apply_tiles(blocks, torus, v, core, halo)
                for piece in (2**8, 2**20):  # the oracle takes the time
                    monkeypatch.setattr(circulant_cpu, "PIECE", piece)
                    got = circulant_cpu.apply_tiles(plan, v, core, halo)
                    assert got.dtype == dtype and got.flags.c_contiguous
                    assert_close(got, want, dtype, 50)

    @pytest.mark.parametrize("torus", ["2-D", "3-D", "2-D odd", "1-D"])
    @every_dtype
    def test_parts(self, monkeypatch, dtype, torus):
        """Phases, rows, strided arrays; what nobody writes stays as it is."""
        torus = TORI[torus]
        blocks = random_blocks(2, 4, 6, torus, dtype)
        plan = circulant_cpu.prepare(blocks, torus, dtype)
        v, out, parts = circulant_parts(torus, dtype)
        want = oracles.circulant_apply_parts(blocks, torus, v, out, parts)
        for piece, work in ((2**8, 1), (2**20, 1e9)):
            monkeypatch.setattr(circulant_cpu, "PIECE", piece)
            monkeypatch.setattr(threads, "SERIAL_WORK", work)
            wide = np.full((*out.shape[:-1], 2 * out.shape[-1]), 7, dtype)
            got = wide[..., ::2]
            got[...] = out
            given = np.asfortranarray(v)
            assert circulant_cpu.apply_parts(plan, given, got, parts) is None
            assert_close(got, want, dtype, 50)
            assert np.all(wide[..., 1::2] == 7)

    def test_refused_tiles(self):
        torus = (1, 6, 8)
        blocks = random_blocks(1, 2, 3, torus, "float32")
        plan = circulant_cpu.prepare(blocks, torus, "float32")
        v = np.zeros((2, 1, 3, 1, 20, 20), "float32")
        tiles = circulant_cpu.apply_tiles
        assert tiles(plan, v[:0], (1, 4, 4), (0, 1, 2)).shape == (0, 1, 2, 1, 20, 20)
        with pytest.raises(ValueError, match="v must have shape"):
            tiles(plan, v, (1, 5, 4), (0, 1, 2))
        with pytest.raises(ValueError, match="v must have shape"):
            tiles(plan, v[0], (1, 4, 4), (0, 1, 2))
        for core, halo in (
            ((1, 4), (0, 1, 2)),
            ((1, 0, 4), (0, 1, 2)),
            ((1, 4, 4), (0, 1, -1)),
        ):
            with pytest.raises(ValueError, match="core and halo must be three ints"):
                tiles(plan, v, core, halo)

    def test_items_are_independent(self):
        torus = (1, 6, 8)
        blocks = random_blocks(1, 2, 2, torus, "float32")
        plan = circulant_cpu.prepare(blocks, torus, "float32")
        v = random((5, 1, 2, *torus), "float32")
        before = circulant_cpu.apply(plan, v)
        v[2] = np.nan
        after = circulant_cpu.apply(plan, v)
        others = [0, 1, 3, 4]
        assert_close(after[others], before[others], "float32", 10)
        assert np.all(np.isnan(after[2]))

    @every_dtype
    def test_plan(self, dtype):
        torus = (1, 6, 8)
        blocks = random_blocks(3, 2, 4, torus, dtype)
        before = blocks.copy()
        plan = circulant_cpu.prepare(blocks, list(torus), dtype)
        np.testing.assert_array_equal(blocks, before)
        assert plan.torus == torus and plan.dtype == dtype and plan.groups == 3
        assert plan.shape == (2, 4)
        assert plan.nbytes >= blocks.size * 2 * np.finfo(dtype).bits // 8
        got = circulant_cpu.apply(plan, np.zeros((0, 3, 4, *torus), dtype))
        assert got.shape == (0, 3, 2, *torus)

    def test_refused(self):
        torus = (1, 6, 8)
        blocks = random_blocks(1, 2, 3, torus, "float32")
        prepare, apply = circulant_cpu.prepare, circulant_cpu.apply
        with pytest.raises(TypeError, match="dtype must be float32"):
            prepare(blocks, torus, "int64")
        with pytest.raises(TypeError, match="blocks must be a NumPy array"):
            prepare(blocks.tolist(), torus, "float32")
        with pytest.raises(TypeError, match="blocks must have dtype complex128"):
            prepare(blocks.real, torus, "float32")
        with pytest.raises(ValueError, match="torus must be three"):
            prepare(blocks, torus[1:], "float32")
        with pytest.raises(ValueError, match="blocks must have shape"):
            prepare(blocks, torus, "complex64")
        plan = prepare(blocks, torus, "float32")
        v = np.zeros((2, 1, 3, *torus), "float32")
        with pytest.raises(TypeError, match="v must have dtype float32"):
            apply(plan, v.astype(float))
        for wrong in (v[:, :, :2], v[0], np.zeros((2, 1, 3, 1, 7, 8), "float32")):
            with pytest.raises(ValueError, match="v must have shape"):
                apply(plan, wrong)
        for wrong in ((1, 6), (1, 6, 9), (1, 0, 8)):
            with pytest.raises(ValueError, match="grid must be three ints"):
                apply(plan, v, wrong)
