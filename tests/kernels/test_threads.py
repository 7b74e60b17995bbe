"""The same bits with any number of threads, and the pool that runs them."""

import numba
import numpy as np
import pytest

from convinv._core import threads
from convinv.kernels import load
from convinv.kernels.circulant import cpu as circulant_cpu
from convinv.kernels.correlate import cpu as correlate_cpu
from convinv.kernels.vectors import cpu as vectors_cpu
from convinv.kernels.windows import cpu as windows_cpu
from support.processes import FOLDERS, run

THREADS = """
import hashlib
import numpy as np
from convinv._core import threads
from convinv._core.geometry import make_geometry
from convinv.kernels.correlate import cpu as correlate_cpu
from convinv.kernels.vectors import cpu as vectors_cpu
from support.arrays import random
from support.vector_calls import CALLS, arguments, as_tuple

print(threads.thread_count())
results = []
for name in CALLS:
    given = arguments(name, 3, 20 * vectors_cpu.LENGTH + 77, "float32")
    results += as_tuple(getattr(vectors_cpu, name)(*given))
g = make_geometry((8, 4, 3, 3), (4, 65, 66), stride=1, padding=1, dilation=1,
                  groups=1, boundary="reflect")
plan = correlate_cpu.prepare(random((8, 4, 1, 3, 3), "float64"), g)
results += correlate_cpu.forward(plan, random((3, 4, *g.input), "float64"), True)
results += correlate_cpu.adjoint(plan, results[-2], True)
digest = hashlib.sha256()
for result in results:
    digest.update(np.ascontiguousarray(result))
print(digest.hexdigest())
"""


class TestThreads:
    def test_same_bits_with_any_number(self):
        outputs = []
        for count in ("1", "2", "3"):
            done = run(THREADS, NUMBA_NUM_THREADS=count, PYTHONPATH=FOLDERS)
            assert done.returncode == 0, done.stderr
            used, digest = done.stdout.split()
            assert used == count
            outputs.append(digest)
        assert len(set(outputs)) == 1

    def test_every_task_runs_once(self):
        for tasks in (0, 1, 2, 3, 7, 100):
            for work in (1.0, 1e7, 1e9, 1e11):
                seen = np.zeros(tasks, int)

                def kernel(first, last, step, seen=seen):
                    seen[first:last] += step

                threads.parallel_for(kernel, tasks, work, 1)
                assert np.all(seen == 1)

    def test_long_work_comes_back_to_python_often(self):
        pieces = []
        threads.parallel_for(
            lambda first, last: pieces.append(last - first), 1000, 1e10
        )
        assert sum(pieces) == 1000 and len(pieces) >= 100

    def test_errors_of_a_thread_come_out(self):
        def kernel(first, last):
            raise ZeroDivisionError

        with pytest.raises(ZeroDivisionError):
            threads.parallel_for(kernel, 100, 1e9)
        done = []
        threads.parallel_for(lambda first, last: done.append(last - first), 100, 1e9)
        assert sum(done) == 100

    def test_numbas_thread_setting_is_heard(self):
        if numba.config.NUMBA_NUM_THREADS < 2:
            pytest.skip("one thread only")
        before = numba.get_num_threads()
        try:
            numba.set_num_threads(1)
            assert threads.thread_count() == 1
        finally:
            numba.set_num_threads(before)

    def test_no_full_fastmath(self):
        kernels = circulant_cpu, vectors_cpu, correlate_cpu, windows_cpu
        for module in (*kernels, circulant_cpu.tiles):
            for thing in vars(module).values():
                flags = getattr(thing, "targetoptions", {}).get("fastmath", False)
                assert flags in (False, True) or set(flags) <= {"reassoc", "contract"}
                assert flags is not True


def test_load():
    assert load("vectors", np) is vectors_cpu
    assert load("correlate", np) is correlate_cpu
