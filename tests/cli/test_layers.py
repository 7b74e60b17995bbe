"""``convinv invert`` and ``convinv report``, on layers in files of all kinds."""

import sys

import numpy as np
import pytest

import convinv
from convinv import ConvLinearOperator, gallery

SIZE = 12, 14


@pytest.fixture
def layer(tmp_path):
    """A kernel in a file, an input, and the output that the layer makes of it."""
    kernel = gallery.conv_layer(2, 4, rng=0)
    x = np.random.default_rng(1).standard_normal((2, *SIZE))
    np.save(tmp_path / "kernel.npy", kernel)
    np.save(tmp_path / "data.npy", ConvLinearOperator(kernel, x.shape).forward(x))
    return kernel, x


class TestInvert:
    def words(self, folder, file="kernel.npy", *more):
        return "invert", folder / file, folder / "data.npy", folder / "x.npy", *more

    def test_the_input_comes_back(self, facts, layer, tmp_path):
        found = facts(*self.words(tmp_path), "--rtol", "1e-10")
        x = np.load(tmp_path / "x.npy")
        np.testing.assert_allclose(x, layer[1], atol=1e-6)
        assert found["success"] and found["relative_residual"] < 1e-9
        assert found["shape"] == [2, *SIZE] and found["status"] == "CONVERGED"

    @pytest.mark.parametrize(
        ("options", "words"),
        [
            ({"stride": 2, "padding": 1}, "--stride 2 --padding 1"),
            ({"stride": (1, 2)}, "--stride 1,2"),
            (
                {"padding": "same", "boundary": "reflect"},
                "--padding same --boundary reflect",
            ),
            ({"padding": ((1, 0), (2, 2)), "flip": True}, "--padding 1:0,2 --flip"),
            ({"dilation": 2}, "--dilation 2"),
            ({"groups": 2}, "--groups 2"),
        ],
    )
    def test_options(self, done, refused, layer, tmp_path, options, words):
        """The damped solution, as the normal equations have it."""
        kernel, x = layer
        if "groups" in options:
            x = np.concatenate([x, 2 * x])
        op = ConvLinearOperator(kernel, x.shape, **options)
        data = op.forward(x) + 0.1
        np.save(tmp_path / "data.npy", data)
        command = (*self.words(tmp_path), *words.split(), "--damp", "0.1")
        shape = ",".join(map(str, x.shape))
        if "stride" in options:
            assert "give --input-shape" in refused(2, *command, "--rtol", "1e-10")
            command += ("--input-shape", shape)
        lines = done(*command, "--rtol", "1e-10")
        A = op.todense()
        want = np.linalg.solve(A.T @ A + 0.01 * np.eye(x.size), A.T @ data.ravel())
        found = np.load(tmp_path / "x.npy")
        np.testing.assert_allclose(found.ravel(), want, atol=1e-6)
        assert "damp        0.1\n" in lines and found.shape == x.shape

    def test_regularizers(self, done, layer, tmp_path):
        kernel, x = layer
        words = self.words(tmp_path), "--damp 0.5 --regularizer gradient --rtol 1e-10"
        done(*words[0], *words[1].split())
        A = ConvLinearOperator(kernel, x.shape).todense()
        across, down = (np.diff(np.eye(n), axis=0) for n in SIZE[::-1])
        parts = [np.kron(np.eye(2), np.kron(down, np.eye(SIZE[1])))]
        parts += [np.kron(np.eye(2), np.kron(np.eye(SIZE[0]), across))]
        penalty = sum(part.T @ part for part in parts)
        right = A.T @ np.load(tmp_path / "data.npy").ravel()
        want = np.linalg.solve(A.T @ A + 0.25 * penalty, right)
        found = np.load(tmp_path / "x.npy").ravel()
        np.testing.assert_allclose(found, want, atol=1e-6)

    def test_batches_and_rules(self, facts, layer, tmp_path):
        kernel, x = layer
        noise = np.random.default_rng(2).standard_normal((3, 4, 10, 12))
        data = ConvLinearOperator(kernel, x.shape).forward(x) + 0.1 * noise
        np.save(tmp_path / "data.npy", data)
        found = facts(*self.words(tmp_path), "--damp", "gcv")
        assert found["shape"] == [3, 2, *SIZE] and found["damp"] > 0

    def test_archives_and_bias(self, done, refused, layer, tmp_path):
        kernel, x = layer
        bias = np.arange(4.0)
        data = np.load(tmp_path / "data.npy") + bias[:, None, None]
        np.save(tmp_path / "data.npy", data)
        arrays = {"a.weight": kernel, "a.bias": bias, "b.weight": kernel[:3]}
        np.savez(tmp_path / "net.npz", **arrays)
        command = self.words(tmp_path, "net.npz")
        error = refused(1, *command)
        assert "kernels under a.weight, b.weight: name one by --key" in error
        assert "none of them is 'c'" in refused(1, *command, "--key", "c")
        for key in ("a", "a.weight"):
            lines = done(*command, "--key", key, "--force", "--rtol", "1e-10")
            assert "a.weight), with a bias" in lines
            np.testing.assert_allclose(np.load(tmp_path / "x.npy"), x, atol=1e-6)
        np.savez(tmp_path / "net.npz", kernel)  # one array needs no name
        done("invert", tmp_path / "net.npz", *command[2:], "--force")

    def test_one_channel_may_be_left_out(self, facts, tmp_path):
        x = np.random.default_rng(1).standard_normal(SIZE)
        kernel = np.array([[0.0, 0.1, 0.0], [0.2, 1.0, 0.1], [0.0, 0.1, 0.0]])
        np.save(tmp_path / "kernel.npy", kernel)
        op = ConvLinearOperator(kernel[None, None], (1, *SIZE), padding="same")
        np.save(tmp_path / "data.npy", op.forward(x[None])[0])
        found = facts(*self.words(tmp_path), "--padding", "same", "--rtol", "1e-10")
        np.testing.assert_allclose(np.load(tmp_path / "x.npy"), x, atol=1e-7)
        assert found["shape"] == list(SIZE)

    def test_failing_solves(self, command, layer, tmp_path):
        words = self.words(tmp_path, "kernel.npy", "--method", "cgls", "--maxiter", "1")
        code, out, err = command(*words)
        assert code == 1 and err.startswith("convinv: error: cgls: the iteration limit")
        assert err.count("\n") == 1 and "written" in out
        assert np.load(tmp_path / "x.npy").shape == (2, *SIZE)

    @pytest.mark.parametrize(
        ("code", "words", "message"),
        [
            (2, "--damp discrepancy", "--damp discrepancy needs --noise-level"),
            (2, "--noise-level 1", "is for --damp discrepancy"),
            (2, "--regularizer gradient", "is for --damp X, its weight"),
            (2, "--damp -1", "not negative"),
            (2, "--maxiter -1", "--maxiter must not be negative"),
            (2, "--method best", "invalid choice"),
            (2, "--input-shape 3,12,14", "must be 2 channels and 2 more numbers"),
            (2, "--input-shape 2,12", "must be 2 channels and 2 more numbers"),
            (1, "--input-shape 2,20,20", "must hold 4 x 18 x 18 numbers"),
            (2, "--max-memory lots", "number of bytes"),
            (2, "--key a", "has no name"),
            (1, "--method cg", "cg"),
            (2, "--groups 1,2", "must be one positive integer"),
        ],
    )
    def test_errors(self, refused, layer, tmp_path, code, words, message):
        error = refused(code, *self.words(tmp_path), *words.split())
        assert message in error and not (tmp_path / "x.npy").exists()

    def test_files(self, refused, layer, tmp_path):
        words = self.words(tmp_path)
        nothing = tmp_path / "nothing.npy"
        assert "there is no file" in refused(1, "invert", nothing, *words[2:])
        assert "there is no file" in refused(1, *words[:2], nothing, words[3])
        assert "must end in .npy" in refused(2, *words[:3], tmp_path / "x.png")
        assert "--force overwrites it" in refused(1, *words[:3], words[2])
        np.save(nothing, np.ones(5))
        assert "must hold a kernel" in refused(1, "invert", nothing, *words[2:])
        assert "and 2 more axes" in refused(1, *words[:2], nothing, words[3])
        np.save(nothing, np.zeros((1, 1, 3, 3)))
        assert "not all zero" in refused(1, "invert", nothing, *words[2:])
        (tmp_path / "layer.h5").write_bytes(b"")
        error = refused(1, "invert", tmp_path / "layer.h5", *words[2:])
        assert "must end in .npy, .npz, .pt, .pth or .onnx" in error


class TestReport:
    def test_report(self, done, facts, layer, tmp_path):
        words = "report", tmp_path / "kernel.npy", "--size", "10,12", "--padding", "1"
        found = facts(*words)
        op = ConvLinearOperator(layer[0], (2, 10, 12), padding=1)
        values = np.linalg.svd(op.todense(), compute_uv=False)
        np.testing.assert_allclose(found["largest"], values[0])
        np.testing.assert_allclose(found["smallest"], values[-1])
        np.testing.assert_allclose(found["condition"], values[0] / values[-1])
        assert found["rank"] == values.size and found["input_shape"] == [2, 10, 12]
        lines = done(*words)
        assert str(convinv.layer_report(op)) in lines and "2 -> 4 channels" in lines

    def test_plain_filters(self, facts, tmp_path):
        """A filter with two axes is a layer with one channel."""
        np.save(tmp_path / "psf.npy", gallery.gaussian_kernel(5, 1.0))
        words = "--size", "16,16", "--padding", "same", "--boundary", "periodic"
        found = facts("report", tmp_path / "psf.npy", *words)
        np.testing.assert_allclose(found["largest"], 1)
        singular = np.array([[0.25, 0.5, 0.25]])
        np.save(tmp_path / "psf.npy", singular)
        found = facts("report", tmp_path / "psf.npy", *words)
        assert found["condition"] == "inf" and found["nullity"] == 16

    def test_picture(self, done, refused, layer, tmp_path):
        pytest.importorskip("matplotlib").use("agg")
        words = "report", tmp_path / "kernel.npy", "--size", "10,12", "--plot"
        picture = tmp_path / "report.png"
        assert f"picture     {picture}\n" in done(*words, picture)
        assert picture.read_bytes().startswith(b"\x89PNG")
        assert "--force" in refused(1, *words, picture)
        assert "must be written to one of" in refused(2, *words, tmp_path / "a.docx")

    def test_sizes(self, refused, layer, tmp_path):
        error = refused(2, "report", tmp_path / "kernel.npy", "--size", "10")
        assert "--size must have 2 numbers" in error


class TestTorch:
    @pytest.fixture
    def saved(self, tmp_path, layer):
        torch = pytest.importorskip("torch")
        torch.manual_seed(0)
        net = torch.nn.Sequential(
            torch.nn.Conv2d(2, 5, 3), torch.nn.ReLU(), torch.nn.Conv2d(5, 2, 1)
        ).double()
        torch.save(net.state_dict(), tmp_path / "net.pt")
        x = torch.from_numpy(layer[1])
        np.save(tmp_path / "data.npy", net[0](x[None]).detach().numpy())
        return net

    def test_state_dicts(self, done, refused, saved, layer, tmp_path):
        words = "invert", tmp_path / "net.pt", tmp_path / "data.npy", tmp_path / "x.npy"
        assert "under 0.weight, 2.weight: name one" in refused(1, *words)
        lines = done(*words, "--key", "0", "--rtol", "1e-10")
        np.testing.assert_allclose(np.load(tmp_path / "x.npy")[0], layer[1], atol=1e-6)
        assert "2 -> 5 channels, 3 x 3 (net.pt, 0.weight), with a bias" in lines

    def test_other_files_of_torch(self, facts, refused, saved, tmp_path):
        import torch

        torch.save(saved, tmp_path / "module.pt")
        words = "--size", "12,12"
        error = refused(1, "report", tmp_path / "module.pt", *words)
        assert "save model.state_dict()" in error
        nested = {"state_dict": saved[:1].bfloat16().state_dict(), "epoch": 3}
        torch.save(nested, tmp_path / "nested.pt")
        assert facts("report", tmp_path / "nested.pt", *words)["rank"] == 2 * 144
        torch.save([1, 2], tmp_path / "list.pt")
        assert "no state dict" in refused(1, "report", tmp_path / "list.pt", *words)


@pytest.mark.parametrize(("module", "end"), [("torch", "pt"), ("onnx", "onnx")])
def test_missing_packages(refused, tmp_path, monkeypatch, module, end):
    path = tmp_path / f"net.{end}"
    path.write_bytes(b"anything")
    monkeypatch.setitem(sys.modules, module, None)
    error = refused(1, "report", path, "--size", "8,8")
    assert f"needs {module}: python -m pip install {module}\n" in error


class TestONNX:
    @pytest.fixture
    def model(self, tmp_path, layer):
        onnx = pytest.importorskip("onnx")
        helper, kernel = onnx.helper, layer[0].astype("float32")
        weights = [
            onnx.numpy_helper.from_array(kernel, "w"),
            onnx.numpy_helper.from_array(np.arange(4, dtype="float32"), "b"),
        ]
        options = {"strides": [1, 2], "pads": [1, 0, 1, 2], "dilations": [1, 1]}
        nodes = [
            helper.make_node("Conv", ["x", "w", "b"], ["y"], "first", **options),
            helper.make_node("Constant", [], ["c"], value=weights[0]),
            helper.make_node("Conv", ["x", "c"], ["z"], auto_pad="VALID"),
        ]
        info = helper.make_tensor_value_info
        kind = onnx.TensorProto.FLOAT
        ends = [info("y", kind, None), info("z", kind, None)]
        graph = helper.make_graph(nodes, "net", [info("x", kind, None)], ends, weights)
        onnx.save(helper.make_model(graph), str(tmp_path / "net.onnx"))
        return tmp_path / "net.onnx"

    def test_models(self, done, refused, model, layer, tmp_path):
        kernel, x = layer
        padding = ((1, 1), (0, 2))
        options = {"stride": (1, 2), "padding": padding}
        op = ConvLinearOperator(kernel.astype("float32"), x.shape, **options)
        data = op.forward(x) + np.arange(4.0)[:, None, None]
        np.save(tmp_path / "data.npy", data)
        words = "invert", model, tmp_path / "data.npy", tmp_path / "x.npy"
        assert "has convolutions first, z: name one" in refused(1, *words)
        shape = "--input-shape", "2,12,14"
        done(*words, "--key", "first", *shape, "--rtol", "1e-8", "--damp", "0.1")
        A = op.todense().astype(float)
        right = A.T @ op.forward(x).ravel()
        want = np.linalg.solve(A.T @ A + 0.01 * np.eye(x.size), right)
        np.testing.assert_allclose(np.load(tmp_path / "x.npy").ravel(), want, atol=1e-4)

    def test_reports(self, facts, refused, model, layer, tmp_path):
        words = "report", model, "--size", "9,9", "--key"
        assert facts(*words, "z")["output_shape"] == [4, 7, 7]
        assert facts(*words, "first")["output_shape"] == [4, 9, 5]
        assert facts(*words, "z", "--stride", "2")["output_shape"] == [4, 4, 4]
        model.write_bytes(b"no model")
        assert "holds no ONNX model" in refused(1, *words, "z")
