"""The arrays on which a splitting iterates: the image, perhaps inside a torus."""

import math


class Domain:
    """Where the iterations have x.

    Attributes
    ----------
    shape : tuple of int
        Of the arrays of the iterations.
    box : tuple of (int, int)
        The first sample and the end of the image along each of the last axes of
        `shape`: one to three of them.
    image_shape : tuple of int
        The shape of x for the user and for priors.
    cyclic : bool
        Whether the last sample of an axis is a neighbor of the first, so that
        differences outside the image exist and are free.
    """

    def __init__(self, shape, image_shape, box=None, cyclic=False):
        self.shape, self.image_shape, self.cyclic = shape, image_shape, cyclic
        axes = shape[-3:]
        self.box = tuple((0, n) for n in axes) if box is None else tuple(box)
        self.volume_shape = (math.prod(shape[:-3]), *(1,) * (3 - len(axes)), *axes)
        self.volume_box = ((0, 1),) * (3 - len(axes)) + self.box
        self._place = (..., *(slice(*ends) for ends in self.box))
        self.is_image = self.box == tuple((0, n) for n in axes)

    def image(self, x):
        """The image in an array of the iterations; it may be a view."""
        return x[self._place].reshape(self.image_shape)

    def put(self, x, image):
        """Replace the image in an array of the iterations."""
        inner = x[self._place]
        x[self._place] = image.reshape(inner.shape)
