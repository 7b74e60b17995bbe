"""The command convinv demo: what it prints, draws and refuses."""

import argparse
import re
import sys

import numpy as np
import pytest

import convinv
from convinv import gallery
from convinv._demo import compare
from convinv.cli import demo as command_demo
from convinv.cli.demo import METHODS

pytest.importorskip("skimage")
pytest.importorskip("matplotlib")

ROW = re.compile(
    r"^(\S+) +(\d+) +(\d+\.\d{3}) +(\d+\.\d{3}) +(\S+) +(\S+) +(\S+) +(\d+\.\d)"
    r" +([a-z]+)$",
    re.MULTILINE,
)


@pytest.fixture
def demo(tmp_path, done):
    """Runs the layer of the demo on a small photograph: its lines, and the picture."""

    def run(*words):
        output = tmp_path / "demo.png"
        output.unlink(missing_ok=True)
        small = "--only", "layer", "--size", "24", "--output", output
        out = done("demo", *small, *words)
        assert f"picture: {output}" in out
        return out, output

    return run


@pytest.fixture
def refusal(tmp_path, refused):
    """Runs a demo that must fail with a code and no picture; returns the message."""

    def run(code, *words):
        if "--output" not in words:
            words += ("--output", tmp_path / "demo.png")
        error = refused(code, "demo", *words)
        assert not (tmp_path / "demo.png").exists()
        return error

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
    assert tuple(table) == METHODS
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


def test_other_formats_and_many_methods(done, tmp_path, monkeypatch):
    solve = compare.solve
    monkeypatch.setattr(
        compare, "solve", lambda op, b, _, **o: solve(op, b, "cgls", **o)
    )
    names = [f"method{i}" for i in range(8)]
    known = [argparse.Namespace(name=name) for name in names]
    monkeypatch.setattr(command_demo, "methods", lambda: known)
    output = tmp_path / "demo.svg"
    words = "demo", "--only", "layer", "--size", "16", "--method", ",".join(names)
    assert len(ROW.findall(done(*words, "--output", output))) == 8
    assert "<svg" in output.read_text(encoding="utf-8")


def test_set_up_is_from_scratch(demo, monkeypatch):
    """The first column is of an operator that nothing has been solved with yet."""
    solve, known = compare.solve, []

    def watched(op, b, method, **options):
        known.append(bool(op.cached_keys))
        return solve(op, b, method, **options)

    monkeypatch.setattr(compare, "_compile", lambda op, *args: 0.0)
    monkeypatch.setattr(
        compare, "_reference", lambda op, *args: np.zeros(op.input_shape)
    )
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


def test_no_method_that_does_not_refuse(refusal, no_direct):
    error = refusal(1, "--size", "24", "--method", "direct")
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
    ("code", "args", "message"),
    [
        (2, "--size 6", "--size must be 0 or at least 7, got 6"),
        (2, "--size many", "argument --size: invalid int value"),
        (1, "--image nobody", "no image file 'nobody'.* astronaut, "),
        (2, "--filters 0", "--filters must be at least 1, got 0"),
        (2, "--filters 3 --kernel k.npy", "--filters or --kernel, not both"),
        (1, "--kernel nowhere.npy", "there is no file 'nowhere.npy'"),
        (2, "--noise -1", "argument --noise: '-1' must be .* not negative"),
        (2, "--noise nan", "argument --noise: 'nan' must be"),
        (2, "--rtol -1", "argument --rtol: '-1' must be"),
        (2, "--maxiter -1", "--maxiter must not be negative, got -1"),
        (2, "--seed -1", "--seed must not be negative, got -1"),
        (2, "--method stirp", "--method: 'stirp' is none of auto, adbk, cg, cgls"),
        (2, "--method cgls, --size 24", "--method: '' is none of"),
        (1, "--size 24 --method cg", "--method: cg needs a square .* 3872 .* 1728"),
        (2, "--output a.docx", r"must be written to one of .*\.png.*, got 'a.docx'"),
        (2, "--output nowhere/a.png", "--output: there is no folder 'nowhere'"),
        (2, "--dtype float16", "argument --dtype: invalid choice"),
        (2, "--device tpu", "argument --device: invalid choice"),
        (2, "--damp much", "argument --damp: 'much' must be one of: .* gcv, ncp"),
        (2, "--boundary mirrored", "argument --boundary: .*mirrored"),
        (2, "--padding 1:2:3", "argument --padding: '1:2:3' must be same, valid"),
        (2, "--psf disc:0", "--psf disc:0: radius must be positive"),
        (2, "--size 12", "--size 12 is smaller than the psf, 13 x 13"),
        (2, "--psf gaussian:", "--psf gaussian:: .* must be numbers"),
        (2, "--psf motion:3", "--psf must be FILE, gaussian.*, got 'motion:3'"),
        (2, "--what", "unrecognized arguments"),
    ],
)
def test_errors(refusal, code, args, message):
    assert re.search(message, refusal(code, *args.split()))


@pytest.mark.parametrize(
    ("array", "message"),
    [
        (np.ones((8, 3, 3)), r"has shape \(8, 3, 3\), not \(C_out, C_in, height, w"),
        (np.ones((0, 3, 3, 3)), r"has shape \(0, 3, 3, 3\), not"),
        (np.ones((8, 4, 3, 3)), r"so C_in = 4, but the image has 3 channels"),
        (np.ones((8, 3, 25, 3)), "image of 24 x 24 pixels is too small.*, 25 x 3"),
        (np.ones((8, 3, 3, 3)) * 1j, "must hold one array of real numbers"),
        (np.array([["a"]]), "must hold numbers, got dtype"),
        (np.full((8, 3, 3, 3), np.nan), "must be finite and not all zero"),
        (np.zeros((8, 3, 3, 3)), "must be finite and not all zero"),
    ],
)
def test_bad_kernels(refusal, tmp_path, array, message):
    path = tmp_path / "kernel.npy"
    np.save(path, array)
    assert re.search(message, refusal(1, "--size", "24", "--kernel", path))


@pytest.mark.parametrize("content", [b"", b"no array", b"\x93NUMPY"])
def test_kernel_files_of_another_kind(refusal, tmp_path, content):
    path = tmp_path / "kernel.npy"
    path.write_bytes(content)
    assert "holds no array" in refusal(1, "--kernel", path)


def test_archives(demo, refusal, tmp_path):
    archive = tmp_path / "kernel.npz"
    np.savez(archive, gallery.conv_layer(3, 6, rng=5))
    assert "3 -> 6 channels" in demo("--kernel", archive, "--method", "cgls")[0]
    np.savez(archive, a=np.ones(3), b=np.ones(3))
    (tmp_path / "demo.png").unlink()
    assert "holds 2 arrays ('a', 'b')" in refusal(1, "--kernel", archive)


@pytest.mark.parametrize("package", ["skimage", "matplotlib"])
def test_missing_packages(refusal, monkeypatch, package):
    monkeypatch.setitem(sys.modules, package, None)
    name = {"skimage": "scikit-image"}.get(package, package)
    assert f"needs {name}: python -m pip install {name}\n" in refusal(1)


def test_no_gpu(refusal, monkeypatch):
    monkeypatch.setitem(sys.modules, "cupy", None)
    error = refusal(1, "--device", "gpu")
    assert '--device gpu needs CuPy: pip install "convinv[cuda12]"' in error
    broken = argparse.Namespace(zeros=lambda n: 1 / 0)
    monkeypatch.setitem(sys.modules, "cupy", broken)
    error = refusal(1, "--device", "gpu")
    assert "--device gpu: CuPy finds no device" in error


def test_gpu(cupy, demo, monkeypatch):
    """On the stand-in for CuPy, which runs the CUDA kernels on the host."""
    pool = argparse.Namespace(free_all_blocks=lambda: None, total_bytes=lambda: 2000)
    monkeypatch.setitem(compare.REFERENCE, "rtol", 1e-3)
    args = "--method cgls --size 12 --maxiter 8".split()
    monkeypatch.setattr(cupy, "get_default_memory_pool", lambda: pool, raising=False)
    found = rows(demo("--device", "gpu", *args)[0])["cgls"]
    expected = rows(demo(*args)[0])["cgls"]
    assert found[0] == expected[0] and found[-1] == "maxiter"
    values = [[float(v) for v in row[3:5]] for row in (found, expected)]
    np.testing.assert_allclose(*values, atol=0.011)


def test_layer_options_and_damp(demo):
    """The damped solution of a strided, padded layer, as by hand."""
    words = "--size 12 --method lsmr --noise 0.1 --stride 1,2 --padding 1:0,2"
    words += " --boundary wrap --damp 0.5 --rtol 1e-8"
    out, _ = demo(*words.split())
    x, rng = gallery.image("astronaut", 12), np.random.default_rng(0)
    options = {"stride": (1, 2), "padding": ((1, 0), (2, 2)), "boundary": "periodic"}
    kernel = gallery.conv_layer(3, 8, rng=rng)
    op = convinv.ConvLinearOperator(kernel, x.shape, **options)
    b = gallery.add_noise(op.forward(x), 0.1, rng, reference=x)
    A = op.todense()
    best = np.linalg.solve(A.T @ A + 0.25 * np.eye(x.size), A.T @ b.ravel())
    expected = -10 * np.log10(np.mean((best.reshape(x.shape) - x) ** 2))
    psnr, to_pinv = (float(rows(out)["lsmr"][i]) for i in (3, 5))
    np.testing.assert_allclose(psnr, expected, atol=0.011)
    assert to_pinv > 100 and "the damped least-squares solution" in out


def test_rules(demo):
    out, _ = demo("--method", "direct,schwarz", "--damp", "gcv", "--noise", "0.1")
    damp = float(re.search(r"^damp +(\S+), chosen by gcv$", out, re.MULTILINE)[1])
    assert damp > 0 and set(rows(out)) == {"direct", "schwarz"}


class TestBlur:
    """The second part: a photograph is deblurred, beside scikit-image."""

    LINE = re.compile(
        r"^(\w+) +(\d+\.\d{3}) +(\d+\.\d\d) +(0\.\d{4})(.*)$", re.MULTILINE
    )
    NAMES = (
        "blurred", "deconvolve", "wiener", "unsupervised_wiener", "richardson_lucy",
    )  # fmt: skip

    @pytest.mark.parametrize("psf", ["gaussian:1.2", "motion:5,30"])
    def test_table(self, done, tmp_path, psf):
        output = tmp_path / "demo.png"
        words = "--only", "blur", "--size", "48", "--output", output, "--psf", psf
        out = done("demo", *words)
        table = {line[0]: line[1:] for line in self.LINE.findall(out)}
        assert tuple(table) == self.NAMES
        best = max(table, key=lambda name: float(table[name][1]))
        assert best == "deconvolve" and "automatic" in table[best][3]
        assert "balance" in table["wiener"][3]
        assert not output.exists()
        assert picture(tmp_path / "demo-blur.png").shape[1] > 1000

    def test_numbers_are_right(self, facts, tmp_path):
        """The PSNR of the blurred picture, by SciPy's convolution."""
        from scipy.signal import fftconvolve

        words = "--only blur --size 32 --noise 0 --image camera --psf disc:2".split()
        found = facts("demo", *words, "--output", tmp_path / "a.png")["blur"]
        scene = gallery.image("camera", 36)[0]
        b = fftconvolve(scene, gallery.disc_kernel(2), "valid")
        want = -10 * np.log10(np.mean((b - scene[2:-2, 2:-2]) ** 2))
        np.testing.assert_allclose(found["pictures"][0]["psnr"], want, rtol=1e-6)

    def test_both(self, facts, tmp_path):
        output = tmp_path / "demo.png"
        words = "--size", "24", "--method", "cgls", "--psf", "gaussian:0.8"
        found = facts("demo", *words, "--output", output)
        assert found["layer"]["methods"][0]["method"] == "cgls"
        assert [row["name"] for row in found["blur"]["pictures"]] == list(self.NAMES)
        assert output.exists() and (tmp_path / "demo-blur.png").exists()
