"""A CUDA graph by itself: its arrays, and its memory."""

import importlib

import numpy as np
import pytest

from support.cuda_host import on_host


class TestGraph:
    def graph(self, cupy, work, *arrays):
        state = [cupy.asarray(np.array(a, float)) for a in arrays]
        return importlib.import_module("convinv.kernels.cuda_graph").Graph(work, state)

    def test_launches(self, cupy):
        constant = cupy.asarray(np.array([1.0, 2.0]))

        def work(state):
            return [state[0] + state[1], state[1] * constant]

        with pytest.raises(TypeError, match=r"array 1 .* \(2,\), expected .* \(\)"):
            self.graph(cupy, work, [0, 0], 1)
        assert not cupy.cuda.get_current_stream().is_capturing()
        graph = self.graph(cupy, work, [0, 0], [1, 1])
        start = [cupy.asarray(np.array(a, float)) for a in ([1, 1], [2, 3])]
        got = graph(start)
        np.testing.assert_array_equal(got[0].get(), [3, 4])
        np.testing.assert_array_equal(graph(got)[1].get(), [2, 12])
        np.testing.assert_array_equal(got[0].get(), [5, 10])
        np.testing.assert_array_equal(start[0].get(), [1, 1])

    def test_arrays_that_change_places(self, cupy):
        graph = self.graph(cupy, lambda s: [s[1], s[2], s[0]], 1, 2, 3)
        assert [float(a) for a in graph(graph.state)] == [2, 3, 1]
        assert [float(a) for a in graph(graph.state[::-1])] == [3, 2, 1]

    def test_two_names_for_one_array(self, cupy):
        def work(state):
            state[0] += 1
            return [state[0], state[0]]

        graph = self.graph(cupy, work, 1, 1)
        assert [float(a) for a in graph(graph.state)] == [2, 2]
        assert [float(a) for a in graph(graph.state)] == [3, 3]

    @on_host
    def test_only_the_state_may_be_used(self, cupy):
        made = []

        def work(state):
            made.append(state[0] + 1)
            return [made[0] * 2]

        graph = self.graph(cupy, work, 1)
        assert float(graph(graph.state)[0]) == 4 and np.isnan(float(made[0]))

    @on_host
    def test_keeps_its_memory(self, cupy):
        graph = self.graph(cupy, lambda state: [state[0] + 1], 1)
        del graph._pool
        with pytest.raises(RuntimeError, match="given to others"):
            graph(graph.state)

    def test_memory_passes_from_a_closed_graph_to_the_next(self, cupy, monkeypatch):
        """A pool that is dropped would keep its memory for good."""
        pools, make = [], cupy.cuda.MemoryPool

        def counted():
            pools.append(make())
            return pools[-1]

        monkeypatch.setattr(cupy.cuda, "MemoryPool", counted)
        monkeypatch.setattr("convinv.kernels.cuda_graph._IDLE", {})
        first = self.graph(cupy, lambda s: [2 * s[0]], 1)
        beside = self.graph(cupy, lambda s: [3 * s[0]], 1)
        assert len(pools) == 2  # of graphs in use at the same time
        first.close(), beside.close()
        for _ in range(3):
            graph = self.graph(cupy, lambda s: [5 * s[0]], 1)
            assert float(graph(graph.state)[0]) == 5
            graph.close()
        for _ in range(3):
            with pytest.raises(TypeError, match="of the state has become"):
                self.graph(cupy, lambda s: [cupy.ones(2)], 1)
        assert len(pools) == 2
