"""Sweeps over tiles of one large image, and batches in blocks by Dask."""

import numpy as np

from benchmarks.support.tracked import Tracked
from benchmarks.support.versions import optional
from convinv import ConvLinearOperator

gallery = optional("convinv.gallery")
TilePlan, read = optional("convinv._tiles", "TilePlan", "read")
distributed = optional("convinv.distributed")
SIDE, SHAPES = 1024, {"blur": (1, 1), "layer": (3, 8)}


def operator(name, side=SIDE):
    c_in, c_out = SHAPES[name]
    kernel = gallery.gaussian_kernel(11, 1.5)[None, None]
    if c_out > 1:
        kernel = gallery.conv_layer(c_in, c_out, rng=0)
    return ConvLinearOperator(kernel.astype(np.float32), (c_in, side, side))


class Sweep(Tracked):
    """One sweep over a tile in the interior, whose set-up is made."""

    params = (tuple(SHAPES), (128, 256, 512))
    param_names = ("problem", "tile")

    def setup(self, name, tile):
        op = operator(name)
        plan = TilePlan(op, 0.1, dtype=op.dtype, tile=tile, halo=32)
        self.plan, self.tile = plan, plan.tiles[len(plan.tiles) // 2]
        rng = np.random.default_rng(0)
        x, b = (
            rng.standard_normal(shape, np.float32)
            for shape in (op.input_shape, op.output_shape)
        )
        self.x = read(x, self.tile.x_runs)[None]
        self.b = read(b, self.tile.b_runs)[None]
        self.time_sweep(name, tile)

    def time_sweep(self, name, tile):
        self.plan.sweep(self.tile, self.x, self.b)


class Blocks(Tracked):
    """A batch in blocks by Dask's scheduler of one thread."""

    def setup(self):
        da, self.config = map(optional, ("dask.array", "dask.config"))
        self.op = operator("layer", 64)
        rng = np.random.default_rng(0)
        b = rng.standard_normal((200, *self.op.output_shape), np.float32)
        self.b = da.from_array(b, chunks=(50, -1, -1, -1))
        self.time_batch()

    def time_batch(self):
        with self.config.set(scheduler="synchronous"):
            distributed.solve(self.op, self.b).x.compute()
