"""What the stand-in for CuPy must notice, for tests on it to mean anything."""

import numpy as np
import pytest

from support.compiled import absent
from support.cuda_checks import FAULTY
from support.cuda_host import host_module, on_host


@on_host
class TestHarness:
    """Accesses outside of arrays, and what a device does not allow either."""

    @pytest.fixture
    def launch(self, cupy):
        def launch(name, *args):
            module = cupy.RawModule(code=FAULTY)
            module.get_function(name)((1,), (32,), args)

        return launch

    def test_writing_outside_an_array(self, launch, cupy):
        launch("outside", cupy.zeros(32, "f4"), np.int32(31))
        for n in -1, 32:
            with pytest.raises(RuntimeError, match="wrote outside"):
                launch("outside", cupy.zeros(32, "f4"), np.int32(n))

    def test_reading_outside_an_array_gives_nan(self, launch, cupy):
        y = cupy.zeros(1, "f4")
        launch("beyond", cupy.zeros(4, "f4"), y, np.int32(4))
        assert np.isnan(float(y))

    def test_a_barrier_that_not_all_threads_reach(self, launch, cupy):
        with pytest.raises(RuntimeError, match="divergent barrier"):
            launch("divergent", cupy.zeros(32, "f4"))

    def test_arguments_of_another_type(self, launch, cupy):
        y = cupy.zeros(32, "f4")
        with pytest.raises(RuntimeError, match="scalar of 4 bytes, got scalar of 8"):
            launch("outside", y, 0)
        with pytest.raises(RuntimeError, match="4-byte items, got array of 8"):
            launch("outside", cupy.zeros(32), np.int32(0))
        with pytest.raises(RuntimeError, match="takes 2 arguments, got 1"):
            launch("outside", y)
        with pytest.raises(TypeError, match="Unsupported"):
            launch("outside", np.zeros(32, "f4"), np.int32(0))
        with pytest.raises(ValueError, match="gaps"):
            launch("outside", cupy.zeros(64, "f4")[::2], np.int32(0))

    def test_nothing_is_copied_to_the_host_unasked(self, cupy):
        x = cupy.asarray(np.ones(3))
        for use in (np.asarray, lambda x: x + np.ones(3), lambda x: np.ones(3) + x):
            with pytest.raises(TypeError):
                use(x)
        before = cupy.SYNCS
        assert float(x.sum()) == 3 and cupy.SYNCS == before + 1


def test_compiled_code_is_kept_by_its_text():
    """A change of kernel text cannot meet the library of the old one."""
    one, two = (
        host_module.HostRawModule(
            code='extern "C" __global__ void f(int* y) { *y = %d; }' % n
        )
        for n in (1, 2)
    )
    for n, module in (1, one), (2, two):
        y = np.zeros(1, "int32")
        module.get_function("f")((1,), (1,), (y,))
        assert y[0] == n


def test_locks_go_with_success(tmp_path):
    """Not before: those that wait for one and those that come later have the same."""
    target, lock = tmp_path / "a.so", tmp_path / "a.lock"
    with pytest.raises(ZeroDivisionError), absent(target) as wanted:
        assert wanted and 1 / 0
    assert lock.exists()
    with absent(target) as wanted:
        assert wanted and lock.exists()
        target.touch()
    with absent(target) as wanted:
        assert not wanted
    assert list(tmp_path.iterdir()) == [target]
