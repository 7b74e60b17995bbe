"""Products in many threads and after a fork."""

import os
import threading
import traceback

import numpy as np
import pytest

from convinv import ConvLinearOperator

BIG = (np.random.default_rng(12).standard_normal((8, 4, 3, 3)), (4, 96, 96))


class TestConcurrency:
    def test_threads(self):
        op = ConvLinearOperator(*BIG)
        rng = np.random.default_rng(13)
        xs = rng.standard_normal((8, *op.input_shape))
        serial = ConvLinearOperator(*BIG)
        expected = [(serial.forward(x), serial.adjoint(serial.forward(x))) for x in xs]
        wrong, start = [], threading.Barrier(8)

        def work(i):
            try:
                start.wait()
                for _ in range(5):
                    y = op.forward(xs[i])  # the first calls race to make the plans
                    w = op.adjoint(y)
                    for got, right in zip((y, w), expected[i]):
                        np.testing.assert_array_equal(got, right)
            except BaseException:
                wrong.append(traceback.format_exc())

        threads = [threading.Thread(target=work, args=(i,)) for i in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(60)
        assert not wrong, wrong[0]
        assert not any(thread.is_alive() for thread in threads)

    # Python warns of every fork of a process with threads; products must survive it.
    @pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
    @pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")
    def test_after_fork(self):
        op = ConvLinearOperator(*BIG)
        x = np.random.default_rng(14).standard_normal(op.input_shape)
        expected = op.forward(x)  # the parent's threads run before the fork
        read, write = os.pipe()
        child = os.fork()
        if child == 0:
            status = 1
            try:
                equal = np.array_equal(op.forward(x), expected)
                os.write(write, b"equal" if equal else b"wrong")
                status = 0
            finally:
                os._exit(status)
        os.close(write)
        assert _answer(read, child) == b"equal"

    @pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
    @pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")
    def test_multiprocessing_fork(self):
        import multiprocessing

        op = ConvLinearOperator(*BIG)
        x = np.random.default_rng(15).standard_normal((3, *op.input_shape))
        expected = op.forward(x)
        with multiprocessing.get_context("fork").Pool(2) as pool:
            got = pool.map_async(op.forward, list(x)).get(60)
        np.testing.assert_array_equal(got, expected)


def _answer(read, child):
    """What a child wrote before it ended, at most 60 s from now."""
    import select

    ready, _, _ = select.select([read], [], [], 60)
    if not ready:
        os.kill(child, 9)
    answer = os.read(read, 16) if ready else b"hangs"
    os.waitpid(child, 0)
    os.close(read)
    return answer
