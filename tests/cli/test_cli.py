"""The command convinv: what it prints, draws and refuses."""

import argparse
import os
import pathlib
import re
import subprocess
import sys

import numpy as np
import pytest

import convinv
from convinv import cli, gallery
from convinv._demo import compare

pytest.importorskip("skimage")
pytest.importorskip("matplotlib")

ROW = re.compile(
    r"^(\S+) +(\d+) +(\d+\.\d{3}) +(\d+\.\d{3}) +(\S+) +(\S+) +(\S+) +(\d+\.\d)"
    r" +([a-z]+)$",
    re.MULTILINE,
)


@pytest.fixture
def demo(tmp_path, capsys):
    """Runs ``convinv demo`` on a small photograph: what it printed, and the picture."""

    def run(*args):
        output = tmp_path / "demo.png"
        output.unlink(missing_ok=True)
        code = cli.main(["demo", "--size", "24", "--output", str(output), *args])
        out, err = capsys.readouterr()
        assert code == 0 and not err, err
        assert f"picture: {output}" in out
        return out, output

    return run


@pytest.fixture
def refused(tmp_path, capsys):
    """Runs a command that must fail without a trace; returns the message."""

    def run(*args):
        args = [args[0], *args[1:]]
        if args[0] == "demo" and "--output" not in args:
            args += ["--output", str(tmp_path / "demo.png")]
        try:
            code = cli.main(args)
        except SystemExit as end:  # argparse's
            code = end.code
        err = capsys.readouterr().err
        assert code == 2 and "Traceback" not in err
        assert not (tmp_path / "demo.png").exists()
        return err

    return run


def rows(out):
    return {row[0]: row[1:] for row in ROW.findall(out)}


def picture(path):
    from skimage import io

    assert path.read_bytes().startswith(b"\x89PNG\r\n")
    return io.imread(path)


def test_the_default(demo):
    out, path = demo()
    table = rows(out)
    assert tuple(table) == cli.DEMO_METHODS
    assert "photograph  astronaut, 3 x 24 x 24" in out
    assert "3 -> 8 channels, 3 x 3" in out and "1 % of the photograph's" in out
    assert re.search(r"^compilation \d+\.\d s, ", out, re.MULTILINE)
    assert re.search(r"^pinv .* lsmr .* converged after \d+ it", out, re.MULTILINE)
    assert "NOT" not in out and "Warning" not in out
    for name, (nit, _, _, psnr, ssim, to_pinv, peak, status) in table.items():
        assert float(psnr) > 25 and 0.9 < float(ssim) <= 1 and float(peak) > 0
        if name == "strip":
            assert nit == "1" and status == "stalled"
            assert f"\n{name}: no further progress" in out
        else:
            assert float(to_pinv) > 60 and status == "converged"
            assert (f"\n{name}: " in out) == (name == "auto")
        if name in ("auto", "direct", "schwarz"):
            assert int(nit) < 100 and float(to_pinv) > 100
    assert "\nauto: the returned x satisfies the tolerance (" in out
    height, width = picture(path).shape[:2]
    assert 1500 < width < 1800 and 800 < height < 1000
    assert np.unique(picture(path)[..., :3].reshape(-1, 3), axis=0).shape[0] > 1000


def test_numbers_are_right(demo):
    """The table's PSNR is that of the same solve done by hand."""
    out, _ = demo(*"--method cgls --noise 0.05 --seed 3 --size 12".split())
    x = gallery.image("astronaut", 12)
    rng = np.random.default_rng(3)
    op = convinv.ConvLinearOperator(gallery.conv_layer(3, 8, rng=rng), x.shape)
    b = gallery.add_noise(op.forward(x), 0.05, rng, reference=x)
    matrix = op.todense()
    best = np.linalg.lstsq(matrix, b.ravel(), rcond=None)[0].reshape(x.shape)
    result = convinv.solve(op, b, "cgls")
    expected = [-10 * np.log10(np.mean((result.x - truth) ** 2)) for truth in (x, best)]
    nit, _, _, psnr, _, to_pinv, _, _ = rows(out)["cgls"]
    assert int(nit) == result.nit
    np.testing.assert_allclose(float(psnr), expected[0], atol=0.011)
    np.testing.assert_allclose(float(to_pinv), expected[1], atol=0.2)


def test_methods_options_and_float32(demo):
    out, path = demo(
        *("--method", "lsmr, gradient", "--method", "auto,lsmr", "--maxiter", "2"),
        *("--dtype", "float32", "--filters", "9", "--noise", "0", "--rtol", "1e-3"),
    )
    table = rows(out)
    assert list(table) == ["lsmr", "gradient", "auto"]
    ends = {name: (row[0], row[-1]) for name, row in table.items()}
    assert ends["lsmr"] == ends["gradient"] == ("2", "maxiter")
    assert ends["auto"] in [("1", "converged"), ("2", "converged")]
    assert "3 -> 9 channels" in out and "noise       0 %" in out
    assert out.count("iteration limit was reached") == 2
    assert picture(path).ndim == 3


def test_rectangles_and_gray(demo, tmp_path):
    from skimage import io

    source = tmp_path / "my photograph.png"
    camera = gallery.image("camera", 60)[0, 10:34, 5:53]
    io.imsave(source, (255 * camera).astype(np.uint8), check_contrast=False)
    out, path = demo("--image", str(source), "--size", "0", "--method", "cgls")
    assert "1 x 24 x 48" in out and "1 -> 8 channels" in out
    height, width = picture(path).shape[:2]
    assert height < 0.6 * width


def test_kernel_file(demo, tmp_path):
    kernel = tmp_path / "kernel.npy"
    np.save(kernel, gallery.conv_layer(3, 6, (2, 4), rng=5))
    out, _ = demo("--kernel", str(kernel), "--method", "cgls")
    assert f"3 -> 6 channels, 2 x 4 ({kernel})" in out


def test_other_formats_and_many_methods(demo, tmp_path, monkeypatch, capsys):
    solve = compare.solve
    monkeypatch.setattr(
        compare, "solve", lambda op, b, _, **o: solve(op, b, "cgls", **o)
    )
    names = [f"method{i}" for i in range(8)]
    known = [argparse.Namespace(name=name) for name in names]
    monkeypatch.setattr(cli, "methods", lambda: known)
    output = tmp_path / "demo.svg"
    command = ["demo", "--size", "16", "--method", ",".join(names)]
    assert cli.main([*command, "--output", str(output)]) == 0
    assert len(ROW.findall(capsys.readouterr().out)) == 8
    assert "<svg" in output.read_text(encoding="utf-8")


def test_set_up_is_from_scratch(demo, monkeypatch):
    """The first column is of an operator that nothing has been solved with yet."""
    solve, known = compare.solve, []

    def watched(op, b, method, **options):
        known.append(bool(op.cached_keys))
        return solve(op, b, method, **options)

    monkeypatch.setattr(compare, "_compile", lambda op, args: 0.0)
    monkeypatch.setattr(compare, "_reference", lambda op, b: np.zeros(op.input_shape))
    monkeypatch.setattr(compare, "solve", watched)
    demo("--method", "schwarz")
    assert known == [False, False, True]  # for the memory, the time, the time again


@pytest.fixture
def no_direct(monkeypatch):
    solve = compare.solve

    def refusing(op, b, method, **options):
        if method == "direct" and op.input_shape[1] == 24:
            raise ValueError("the factor is too large")
        return solve(op, b, method, **options)

    monkeypatch.setattr(compare, "solve", refusing)


def test_a_method_that_refuses(demo, no_direct):
    out, _ = demo("--method", "direct,cgls")
    assert "\ndirect      the factor is too large\n" in out
    assert list(rows(out)) == ["cgls"]


def test_no_method_that_does_not_refuse(refused, no_direct):
    error = refused("demo", "--size", "24", "--method", "direct")
    assert error == "convinv: error: the factor is too large\n"


@pytest.mark.parametrize(
    ("filters", "size", "expected"),
    [(8, 128, (16, 16)), (8, 12, (10, 10)), (5, 128, (16, 16)), (4, 128, (32, 32))],
)
def test_windows_of_strip(filters, size, expected):
    """Large enough for every strip to determine its unknowns."""
    kernel = gallery.conv_layer(3, filters, rng=0)
    op = convinv.ConvLinearOperator(kernel, (3, size, size))
    assert compare._window(op) == expected
    narrow = convinv.ConvLinearOperator(kernel[:2], (3, size, size))
    assert compare._window(narrow) is None


def test_unconverged_reference(demo, monkeypatch):
    monkeypatch.setitem(compare.REFERENCE, "maxiter", 2)
    out, _ = demo("--method", "cgls")
    assert "NOT converged after 2 iterations" in out


@pytest.mark.parametrize(
    ("args", "message"),
    [
        ("--size 6", "--size must be 0 or at least 7, got 6"),
        ("--size many", "argument --size: invalid int value"),
        ("--image nobody", "no image file 'nobody'.* astronaut, "),
        ("--filters 0", "--filters must be at least 1, got 0"),
        ("--filters 3 --kernel k.npy", "--filters or --kernel, not both"),
        ("--kernel nowhere.npy", "No such file .*nowhere.npy"),
        ("--noise -1", "--noise must be 0 or more, got -1"),
        ("--noise nan", "--noise must be 0 or more, got nan"),
        ("--rtol -1", "--rtol must be 0 or more, got -1"),
        ("--maxiter -1", "--maxiter must not be negative, got -1"),
        ("--seed -1", "--seed must not be negative, got -1"),
        ("--method stirp", "--method: 'stirp' is none of auto, adbk, cg, cgls"),
        ("--method cgls, --size 24", "--method: '' is none of"),
        ("--size 24 --method cg", "--method: cg needs a square .* 3872 .* 1728"),
        ("--output a.docx", r"--output must end in one of .*\.png.*, got 'a.docx'"),
        ("--output nowhere/a.png", "--output: there is no folder 'nowhere'"),
        ("--dtype float16", "argument --dtype: invalid choice"),
        ("--device tpu", "argument --device: invalid choice"),
        ("--what", "unrecognized arguments"),
    ],
)
def test_errors(refused, args, message):
    assert re.search(message, refused("demo", *args.split()))


@pytest.mark.parametrize(
    ("array", "message"),
    [
        (np.ones((8, 3, 3)), r"has shape \(8, 3, 3\), not \(C_out, C_in, height, w"),
        (np.ones((0, 3, 3, 3)), r"has shape \(0, 3, 3, 3\), not"),
        (np.ones((8, 4, 3, 3)), r"so C_in = 4, but the image has 3 channels"),
        (np.ones((8, 3, 25, 3)), "image of 24 x 24 pixels is too small.*, 25 x 3"),
        (np.ones((8, 3, 3, 3)) * 1j, "must hold one array of real numbers"),
        (np.array([["a"]]), "must hold one array of real numbers"),
        (np.full((8, 3, 3, 3), np.nan), "must be finite and not all zero"),
        (np.zeros((8, 3, 3, 3)), "must be finite and not all zero"),
    ],
)
def test_bad_kernels(refused, tmp_path, array, message):
    path = tmp_path / "kernel.npy"
    np.save(path, array)
    error = refused("demo", "--size", "24", "--kernel", str(path))
    assert re.search(message, error)


@pytest.mark.parametrize("content", [b"", b"no array", b"\x93NUMPY"])
def test_kernel_files_of_another_kind(refused, tmp_path, content):
    path = tmp_path / "kernel.npy"
    path.write_bytes(content)
    assert "holds no array" in refused("demo", "--kernel", str(path))
    archive = tmp_path / "kernel.npz"
    np.savez(archive, np.ones((8, 3, 3, 3)))
    assert "one array of real numbers" in refused("demo", "--kernel", str(archive))


@pytest.mark.parametrize("package", ["skimage", "matplotlib"])
def test_missing_packages(refused, monkeypatch, package):
    monkeypatch.setitem(sys.modules, package, None)
    assert 'pip install "convinv[demo]"' in refused("demo")


def test_no_gpu(refused, monkeypatch):
    monkeypatch.setitem(sys.modules, "cupy", None)
    error = refused("demo", "--device", "gpu")
    assert '--device gpu needs CuPy: pip install "convinv[cuda12]"' in error
    broken = argparse.Namespace(zeros=lambda n: 1 / 0)
    monkeypatch.setitem(sys.modules, "cupy", broken)
    error = refused("demo", "--device", "gpu")
    assert "--device gpu: CuPy finds no device" in error


def test_gpu(demo, monkeypatch):
    """On the stand-in for CuPy, which runs the CUDA kernels on the host."""
    from support.cuda_host import installed

    pool = argparse.Namespace(free_all_blocks=lambda: None, total_bytes=lambda: 2000)
    monkeypatch.setitem(compare.REFERENCE, "rtol", 1e-3)
    args = "--method cgls --size 12 --maxiter 8".split()
    with installed() as cupy:
        monkeypatch.setattr(
            cupy, "get_default_memory_pool", lambda: pool, raising=False
        )
        found = rows(demo("--device", "gpu", *args)[0])["cgls"]
    expected = rows(demo(*args)[0])["cgls"]
    assert found[0] == expected[0] and found[-1] == "maxiter"
    values = [[float(v) for v in row[3:5]] for row in (found, expected)]
    np.testing.assert_allclose(*values, atol=0.011)


def test_interrupt(monkeypatch):
    def interrupt(args):
        raise KeyboardInterrupt

    monkeypatch.setattr(cli, "_methods", interrupt)
    assert cli.main(["methods"]) == 130


def test_methods_table(capsys):
    assert cli.main(["methods"]) == 0
    out = capsys.readouterr().out
    for method in convinv.methods():
        block = re.search(rf"^{method.name} +(.*)\n((?:  +.*\n)*)", out, re.MULTILINE)
        assert block[1] == method.summary
        for word in [*method.options, *["square"] * method.square]:
            assert word in block[2]
    assert max(map(len, out.splitlines())) <= 100


def test_as_a_module():
    """``python -m convinv``, in processes of its own."""
    root = pathlib.Path(convinv.__file__).parents[1]
    env = {**os.environ, "PYTHONPATH": str(root)}

    def run(*args):
        command = [sys.executable, "-m", "convinv", *args]
        return subprocess.run(command, capture_output=True, text=True, env=env)

    done = run("--version")
    assert (done.returncode, done.stdout) == (0, f"convinv {convinv.__version__}\n")
    done = run()
    assert done.returncode == 2 and "required: command" in done.stderr
    done = run("demo", "--size", "3")
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr == "convinv: error: --size must be 0 or at least 7, got 3\n"
