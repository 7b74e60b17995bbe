"""The options of a convolution, as attributes of it and of its adjoint."""

from typing import Any

DEFAULTS = {
    "stride": 1,
    "padding": 0,
    "dilation": 1,
    "groups": 1,
    "boundary": "zero",
    "flip": False,
}


class LayerOptions:
    """What a convolution was made with, spelt out for every spatial axis."""

    layer: Any

    @property
    def stride(self) -> tuple[int, ...]:
        """Samples from one output to the next, one number for each spatial axis."""
        return self._own_axes(self.layer.geometry.stride)

    @property
    def padding(self) -> tuple[tuple[int, int], ...]:
        """Samples added ``(before, after)`` each spatial axis."""
        g = self.layer.geometry
        return self._own_axes(tuple(zip(g.before, g.after)))

    @property
    def dilation(self) -> tuple[int, ...]:
        """Samples from one tap to the next, one number for each spatial axis."""
        return self._own_axes(self.layer.geometry.dilation)

    @property
    def groups(self) -> int:
        """Number of groups of channels."""
        return self.layer.geometry.groups

    @property
    def boundary(self) -> str:
        """How padded samples are made."""
        return self.layer.geometry.boundary

    @property
    def flip(self) -> bool:
        """Whether the kernel is flipped along its spatial axes."""
        return self.layer._flip

    @property
    def options(self) -> dict[str, Any]:
        """All of them, a new dict.

        With the kernel and the input shape of the layer they make the same layer:
        ``ConvLinearOperator(op.kernel, op.input_shape, **op.options)``.
        """
        return {name: getattr(self, name) for name in DEFAULTS}

    def _own_axes(self, values):
        """Of three spatial axes those that the layer has."""
        return values[3 - self.layer.geometry.ndim :]

    def _chosen(self):
        """The options that are no defaults, as short as they can be given."""
        short = {name: _short(value) for name, value in self.options.items()}
        return {k: v for k, v in short.items() if v != DEFAULTS[k]}


def _short(value):
    """One number for all axes, and for both ends of each, where they agree."""
    if not isinstance(value, tuple):
        return value
    if all(isinstance(v, tuple) and v[0] == v[1] for v in value):
        value = tuple(before for before, _ in value)
    one_for_all = len(set(value)) == 1 and not isinstance(value[0], tuple)
    return value[0] if one_for_all else value
