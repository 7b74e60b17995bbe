"""The estimates by which "auto" chooses for CuPy arrays: those of a device."""

import types

import numpy as np
import pytest

from convinv import ConvLinearOperator, solve
from convinv._closed_forms.forms import closed_form
from convinv._core import rates
from convinv._inverse.accuracy import FINEST
from convinv._planning import costs
from convinv._planning.ways import Plan
from convinv.solvers import _iterate
from support.arrays import random
from support.cuda_host import on_host

pytestmark = on_host  # where what a card says of itself is not there


@pytest.fixture(autouse=True)
def h100(cupy, monkeypatch):
    """The stand-in is the card that was measured, and the host has two cores."""
    monkeypatch.setattr(costs, "thread_count", lambda: 2)
    of_card = rates._of_card

    def answer(library, number):
        return rates.H100 if library is cupy else of_card(library, number)

    monkeypatch.setattr(rates, "_of_card", answer)


def card(**attributes):
    """An array library whose device has these attributes."""
    device = types.SimpleNamespace(id=0, attributes=attributes)
    cuda = types.SimpleNamespace(Device=lambda number=0: device)
    library = types.ModuleType("library")
    library.cuda = cuda
    return library


def layers(cupy, shape=(8, 3, 3, 3), size=256, dtype="float32", **options):
    """The same layer for both kinds of arrays."""
    kernel = random(shape, dtype) / np.sqrt(np.prod(shape[1:]))
    size = (shape[1], size, size)
    return (
        ConvLinearOperator(kernel, size, **options),
        ConvLinearOperator(cupy.asarray(kernel), size, **options),
    )


class TestRates:
    def test_of_numpy(self, cupy):
        assert rates.rates_of(np) is rates.HOST

    def test_of_other_cards(self, cupy):
        """In proportion to processors, memory and double precision."""
        half = rates.rates_of(
            card(
                MultiProcessorCount=rates.PROCESSORS // 2,
                ClockRate=rates.CLOCK,
                MemoryClockRate=rates.MEMORY_CLOCK,
                GlobalMemoryBusWidth=rates.BUS // 4,
                SingleToDoublePrecisionPerfRatio=64,
            )
        )
        h100 = rates.H100
        assert half.multiply[4] == h100.multiply[4] / 2
        assert half.multiply[8] == h100.multiply[8] / 64
        assert half.bandwidth == h100.bandwidth / 4
        assert half.transform == {4: 4 * h100.transform[4], 8: 4 * h100.transform[8]}
        assert half.call == h100.call

    def test_of_cards_that_do_not_say(self, cupy):
        assert rates.rates_of(card(ClockRate=0)) == rates.H100


class TestCosts:
    def test_set_ups_of_narrow_bands_are_the_hosts(self, cupy):
        kind = "schwarz"
        on_cpu, on_device = (
            Plan(op, 0.1, 200, 1e-6).exact(kind, accuracy=FINEST) for op in layers(cupy)
        )
        assert on_device.cost.setup == pytest.approx(on_cpu.cost.setup)
        assert on_device.running < on_cpu.running / 20

    def test_set_ups_of_wide_lines_are_not(self, cupy):
        on_cpu, on_device = (
            Plan(op, 0.1, 1, 1e-6).exact("direct", accuracy=FINEST)
            for op in layers(cupy)
        )
        assert on_device.cost.setup < on_cpu.cost.setup / 5

    def test_wide_lines_take_a_call_for_each_step(self, cupy):
        """Narrow ones do not, so that `schwarz` is what large images take."""
        _, op = layers(cupy)
        plan = Plan(op, 0.0, 200, 1e-6)
        direct, schwarz = plan.exact("direct"), plan.exact("schwarz")
        assert direct.cost.once > 2 * 256 * rates.H100.call
        assert schwarz.cost.once < direct.cost.once
        assert plan.first().name == "schwarz"

    def test_exact_inverse_of_many_images(self, cupy):
        """Some milliseconds, not the seconds of two cores."""
        on_cpu, on_device = (
            Plan(op, 0.0, 200, 1e-6).exact("schwarz") for op in layers(cupy)
        )
        assert on_cpu.running > 0.5 and on_device.running < 0.025

    def test_products(self, cupy):
        """About what was measured of 526 images: 1.2 and 1.5 ms."""
        on_cpu, on_device = (costs.product(op, 526) for op in layers(cupy))
        assert 0.5e-3 < on_device < 3e-3 < on_cpu

    def test_products_by_fft(self, cupy):
        on_cpu, on_device = layers(cupy, (1, 1, 63, 63))
        assert costs.product(on_device, 100) < costs.product(on_cpu, 100) / 20

    @pytest.mark.parametrize("dtype", ["float32", "complex128"])
    def test_closed_forms(self, cupy, dtype):
        options = {"boundary": "periodic", "padding": 1, "dtype": dtype}
        cpu, device = map(closed_form, layers(cupy, (3, 3, 3, 3), 64, **options))
        assert device.setup == cpu.setup
        assert device.application(100) < cpu.application(100) / 10

    def test_separable_forms(self, cupy):
        taps = np.array([0.2, 1.0, 0.3])
        kernel = np.multiply.outer(taps, taps)[None, None]
        shape = (1, 60, 60)
        cpu = closed_form(ConvLinearOperator(kernel, shape, padding=1))
        ours = ConvLinearOperator(cupy.asarray(kernel), shape, padding=1)
        assert closed_form(ours).application(100) < cpu.application(100)


def test_the_message_tells_the_estimates_of_the_device(cupy):
    on_cpu, on_device = layers(cupy, size=40)
    b = on_cpu.forward(random(on_cpu.input_shape, "float32", 1))
    plan = Plan(layers(cupy, size=40)[1], 0.0, 1, 1e-6)
    way = plan.first()
    result = solve(on_device, cupy.asarray(b))
    assert result.success and result.method == way.name
    assert plan.words(way) in result.message
    on_host = Plan(on_cpu, 0.0, 1, 1e-6)
    assert on_host.words(on_host.first()) != plan.words(way)


@pytest.mark.parametrize("accuracy", [1e-2, 1e-4])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_coarse_inverses(cupy, accuracy, dtype):
    """They are made for devices too, and refined as on the CPU."""
    on_cpu, on_device = layers(cupy, size=48, dtype=dtype)
    b = on_cpu.forward(random((2, *on_cpu.input_shape), dtype, 1))
    options = {"accuracy": accuracy, "rtol": 1e-6}
    ours, theirs = (
        solve(op, data, "schwarz", **options)
        for op, data in ((on_device, cupy.asarray(b)), (on_cpu, b))
    )
    assert ours.success and ours.nit == theirs.nit
    close = 1e-4 * np.abs(theirs.x).max()
    np.testing.assert_allclose(ours.x.get(), theirs.x, atol=close)


@pytest.mark.parametrize("graphs", [True, False])
def test_slow_iterations_are_left(cupy, monkeypatch, graphs):
    """What iterations lack is looked at as often as the stopping test."""
    monkeypatch.setattr(Plan, "first", Plan.cgls)
    if not graphs:
        monkeypatch.setattr(_iterate, "SMALL", 0)
    on_cpu, on_device = layers(cupy, (4, 4, 3, 3), 24, "float64", padding=1)
    x = random((3, *on_cpu.input_shape))
    b = on_cpu.forward(x)
    ours, theirs = solve(on_device, cupy.asarray(b)), solve(on_cpu, b)
    for result in (ours, theirs):
        assert result.success and "cgls" in result.message and result.method == "direct"
    alone = solve(on_cpu, b, "cgls")
    assert max(theirs.nit, ours.nit) <= 40 < alone.nit / 10
    assert np.linalg.norm(ours.x.get() - x) < 0.05 * np.linalg.norm(x)
