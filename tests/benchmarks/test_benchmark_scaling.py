"""The benchmark of large images: its model, its simulation, its parts, its bars."""

import importlib
import json
import math
import os
import time

import numpy as np
import pytest

from support.paths import ROOT

if not (ROOT / "benchmarks").is_dir():
    pytest.skip("no benchmarks beside the tests", allow_module_level=True)
pytest.importorskip("zarr")
pytest.importorskip("psutil")


@pytest.fixture
def load(monkeypatch):
    monkeypatch.syspath_prepend(str(ROOT))
    return lambda name: importlib.import_module(f"benchmarks.{name}")


@pytest.fixture
def model(load):
    return load("scaling.model")


@pytest.fixture
def simulation(load):
    return load("scaling.simulate")


JOB = {"side": 512, "tile": 64, "halo": 8, "taps": 3, "c_in": 3, "c_out": 8}


def test_the_model_counts_what_tiles_read(model):
    """Beside the boxes of a plan on a periodic image, where all tiles are alike."""
    from convinv import ConvLinearOperator, gallery
    from convinv._tiles import TilePlan

    job = model.Job(**JOB)
    op = ConvLinearOperator(
        gallery.conv_layer(3, 8, rng=0, dtype=np.float32),
        (3, 512, 512),
        padding="same",
        boundary="periodic",
    )
    plan = TilePlan(op, dtype=op.dtype, tile=job.tile, halo=job.halo)
    assert len(plan.tiles) == job.tiles

    def samples(runs):
        return math.prod(sum(s.stop - s.start for s in along) for along in runs)

    for phase, tile in (("sweep", plan.tiles[9]), ("check", plan.checks[9])):
        moved = model.traffic(job, phase)
        x, b = samples(tile.x_runs), samples(tile.b_runs)
        assert moved.read == 4 * (3 * x + 8 * b)
        core = math.prod(s.stop - s.start for s in tile.core)
        assert moved.halo == moved.read - 4 * 11 * core
        assert moved.written == (4 * 3 * core if phase == "sweep" else 0)
    first = model.traffic(job, "first sweep")
    assert first.read == 4 * 8 * samples(plan.tiles[9].b_runs)


def test_chunks_are_read_whole(model):
    """Beside the mean over all offsets of a box in a store."""
    job = model.Job(**JOB, chunk=20)
    length = job.tile + 2 * job.halo + job.taps - 1
    offsets = np.arange(20)
    touched = (offsets + length - 1) // 20 + 1
    moved = model.traffic(job, "first sweep")
    assert moved.read == pytest.approx(4 * 8 * (20 * touched.mean()) ** 2)
    assert moved.chunks == pytest.approx(touched.mean() ** 2)


def test_rates_are_found_again(model):
    true = model.Rates(task=2e-3, operation=1e-9, chunk=5e-4, read=1e-9, written=2e-9)
    measured = []
    for tile in (32, 64, 128, 256):
        job = model.Job(**JOB | {"tile": tile}, chunk=32)
        moved = model.traffic(job)
        read = true.chunk * moved.chunks + true.read * moved.read
        times = true.compute(job), read, true.written * moved.written
        measured.append(model.Measured(job, "sweep", *times))
        assert sum(times) == pytest.approx(true.seconds(job))
    assert model.fit(measured) == pytest.approx(true)


@pytest.fixture
def rates(model):
    return model.Rates(task=1e-2, operation=1e-9, chunk=0, read=1e-9, written=1e-9)


def test_one_worker_takes_the_sum(model, simulation, rates):
    job = model.Job(**JOB)
    found = simulation.simulate(job, simulation.Cluster(1), rates)
    parts = [job.tiles * rates.seconds(job, phase) for phase in job.phases]
    assert found.phases == pytest.approx(parts)
    assert found.computing == pytest.approx(1)
    # 64 tiles: three workers have 22 of them at most
    three = simulation.simulate(job, simulation.Cluster(3), rates)
    assert three.seconds == pytest.approx(found.seconds * 22 / 64)


def test_workers_share_the_storage(model, simulation):
    """All begin at once and each gets its part: the bytes of all over the rate."""
    job, free = model.Job(**JOB), model.Rates(0, 0, 0, 0, 0)
    cluster = simulation.Cluster(8, storage=1e6)
    found = simulation.simulate(job, cluster, free)
    assert found.seconds == pytest.approx(found.stored / 1e6)
    least = simulation.bounds(job, cluster, free)
    assert least["storage"] == pytest.approx(found.seconds)
    slow = simulation.simulate(job, cluster._replace(storage=1e9, link=1e4), free)
    assert slow.seconds == pytest.approx(found.stored / 8e4)
    one_by_one = simulation.simulate(job, simulation.Cluster(8, dispatch=0.5), free)
    assert one_by_one.seconds == pytest.approx(0.5 * 64 * len(job.phases))


def test_halos_go_over_the_network_where_workers_hold_the_image(
    model, simulation, rates
):
    job = model.Job(**JOB)
    cluster = simulation.Cluster(4, network=1e9, storage=1e9, holds=True)
    found = simulation.simulate(job, cluster, rates)
    halos = sum(model.traffic(job, phase).halo for phase in job.phases)
    assert found.sent == pytest.approx(64 * halos)
    # the data once in and the image once out
    assert found.stored == pytest.approx(4 * 512**2 * (8 + 3))


@pytest.mark.parametrize("holds", [False, True])
def test_failures_cost_time_and_lose_nothing(model, simulation, rates, holds):
    job = model.Job(**JOB)
    whole = simulation.Cluster(4, holds=holds)
    calm = simulation.simulate(job, whole, rates)
    assert calm.failures == 0 and calm.tasks == 64 * len(job.phases)
    rough = whole._replace(failures=3600 * 4 / calm.seconds, restart=0.05)
    found = simulation.simulate(job, rough, rates, seed=1)
    assert found.failures > 3 and found.tasks > calm.tasks
    assert found.seconds > calm.seconds
    assert found == simulation.simulate(job, rough, rates, seed=1)


def test_slow_workers_end_last(model, simulation, rates):
    job = model.Job(**JOB, sweeps=1)
    cluster = simulation.Cluster(64, slow_share=0.1, slow_factor=5.0)
    found = simulation.simulate(job, cluster, rates)
    longest = [5 * rates.seconds(job, phase) for phase in job.phases]
    assert found.phases == pytest.approx(longest)


def test_the_residual_is_that_of_the_matrix(load):
    from convinv import ConvLinearOperator
    from convinv.operators import DifferenceOperator

    residual = load("scaling.residual").relative_normal_residual
    rng = np.random.default_rng(0)
    for c_in, c_out, taps, damp in ((3, 4, 3, 0.0), (1, 1, 4, 0.3)):
        kernel = rng.standard_normal((c_out, c_in, taps, taps))
        op = ConvLinearOperator(kernel, (c_in, 17, 13))
        steps = DifferenceOperator(op.input_shape).todense()
        dense, x = op.todense(), rng.standard_normal(op.input_shape)
        b = rng.standard_normal(op.output_shape)
        normal = dense.T @ (b.ravel() - dense @ x.ravel())
        normal -= damp**2 * steps.T @ (steps @ x.ravel())
        expected = np.linalg.norm(normal) / np.linalg.norm(dense.T @ b.ravel())
        assert residual(kernel, b, x, damp, rows=5) == pytest.approx(expected)


def test_data_do_not_depend_on_the_block(load):
    problems = load("scaling.problems")
    whole = problems.mosaic(slice(0, 1100), slice(400, 1500), 3)
    part = problems.mosaic(slice(300, 700), slice(1000, 1450), 3)
    np.testing.assert_array_equal(part, whole[:, 300:700, 600:1050])
    assert 0 <= whole.min() < 0.1 < 0.9 < whole.max() <= 1
    for problem in problems.PROBLEMS.values():
        clean = problem._replace(noise=0.0)
        b = clean.data(slice(0, 600), slice(0, 600))
        there = clean.data(slice(500, 560), slice(480, 530))
        np.testing.assert_allclose(there, b[:, 500:560, 480:530], atol=1e-5)
        noisy = problem.data(slice(0, 600), slice(0, 600)) - b
        assert noisy.std() == pytest.approx(problem.noise, rel=0.02)


def hold(size):
    """Hold memory for a while in another process."""
    held = np.ones(size // 8)
    time.sleep(0.5)
    return float(held.sum()), os.environ["OMP_NUM_THREADS"]


def fail():
    raise ValueError("what went wrong")


def leave():
    os._exit(3)


@pytest.mark.slow
def test_memory_of_other_processes_counts(load):
    apart = load("support.apart")
    size = 400_000_000
    (found, threads), peak = apart.apart(hold, size, threads=1)
    assert (found, threads) == (size / 8, "1")
    _, small = apart.apart(hold, 80, threads=1)
    assert 0.7 * size < peak - small < 1.3 * size  # the rest of it varies


def test_what_happens_to_other_processes_is_told(load):
    apart = load("support.apart")
    with pytest.raises(apart.Failed, match="what went wrong"):
        apart.apart(fail)
    with pytest.raises(apart.Failed, match="exit code 3"):
        apart.apart(leave)
    with pytest.raises(apart.Failed, match=r"more than 0 s"):
        apart.apart(hold, 80, seconds=0.1)


LARGE = {
    "case": "blur, 16398x16398",
    "small": 2062,
    "peak": 3e9,
    "normal residual": 5e-7,
    "ns per pixel": 1000.0,
    "ratio": 1.2,
}


@pytest.mark.parametrize(
    "change", [{}, {"peak": 5e9}, {"normal residual": 2e-6}, {"ratio": 1.6}]
)
def test_bars_of_large_images(load, change):
    report = load("scaling.report")
    rows = {"errors": {}, "blur": [LARGE | change]}
    assert len(report.missed(rows)) == len(change)
    assert report.summary(rows).count("**missed**") == len(change)


def test_other_bars(load):
    report = load("scaling.report")
    names = load("scaling.batches").WAYS
    seconds = dict.fromkeys(names, 1.0) | {"two workers of one thread": 0.6}
    batches = [{"case": n, "seconds": s, "images": 5} for n, s in seconds.items()]
    same = {"case": "layer", "dtype": "float64", "difference": 1e-11}
    killed = {"case": "one", "kills": 3, "identical": True, "left over": []}
    killed |= {"again": 0, "tiles": 9}
    rows = {"errors": {}, "batches": batches, "same": [same], "resume": [killed]}
    assert report.missed(rows) == []
    batches[1]["seconds"], batches[4]["seconds"] = 0.7, 1.2
    assert len(report.missed(rows)) == 2
    rows["same"] = [same | {"difference": 1e-9}]
    rows["resume"] = [killed | {"again": 1}, killed | {"identical": False}]
    assert len(report.missed(rows)) == 5
    rows["errors"] = {"blur": "ValueError: no"}
    assert "- blur failed: ValueError: no" in report.summary(rows)


@pytest.fixture
def tiny(load, monkeypatch):
    main, sizes = load("scaling.__main__"), load("scaling.sizes")
    small = sizes.QUICK._replace(
        side=192,
        small=96,
        chunk=64,
        memory="8MB",
        images=60,
        distinct=20,
        block=10,
        resumed=128,
        swept=64,
        timed=128,
        timed_chunk=64,
        tiles=(("layer", 32, 16), ("layer", 64, 16)),
    )
    monkeypatch.setattr(main, "QUICK", small)
    return main.main


@pytest.mark.slow
def test_quick_form(load, tiny, tmp_path):
    sweeps = load("scaling.sweeps")
    output = tmp_path / "scaling.md"
    arguments = ["--quick", "--output", str(output)]
    assert tiny(["--only", "sweeps", *arguments]) == 0
    assert tiny(["--only", "tiles", "--add", *arguments]) == 0
    assert tiny(["--simulate", *arguments]) == 0
    rows = json.loads(output.with_suffix(".json").read_text(encoding="utf-8"))
    by_halo = {row["case"]: row["errors"] for row in rows["sweeps"]}
    assert len(by_halo) == 2 * len(sweeps.HALOS)
    assert by_halo["halo 32"][2] < 1e-9
    assert by_halo["halo 8"][4] < 1e-8 < by_halo["halo 8, from data inside alone"][4]
    assert [row["tiles"] for row in rows["tiles"]] == [16, 16, 4, 4]
    assert all(row["normal residual"] < 1e-4 for row in rows["tiles"])
    assert len(rows["compared"]) == 4
    assert {row["problem"] for row in rows["simulation"]} == {"layer"}
    text = output.read_text(encoding="utf-8")
    assert "## Simulated and measured" in text and "## Error by sweep" in text
    assert "A simulation, not a measurement" in text


def test_a_simulation_needs_measured_tiles(tiny, tmp_path):
    with pytest.raises(SystemExit, match="needs the part tiles"):
        tiny(["--simulate", "--output", str(tmp_path / "none.md")])
