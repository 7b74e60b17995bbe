"""The text of the CUDA kernels, and the grids that they are launched on."""

import re

import pytest

from convinv.kernels import KERNELS, launcher


class TestSource:
    @pytest.mark.parametrize("name", KERNELS)
    def test_indices_are_64_bits_wide(self, name):
        text = launcher.source(f"{name}/cuda")
        narrow = re.findall(r"(?<!\(long long\))(?:blockIdx|gridDim)\.\w \*", text)
        assert not narrow
        assert "(long long)blockIdx.x *" in text or name == "windows"

    def test_other_dtypes_are_refused(self):
        with pytest.raises(TypeError, match="not int64"):
            launcher.options("int64")


class TestGrids:
    HUGE = [1, 2, 31, 33, 255, 257, 65535, 10**6, 2**31, 2**40]

    @pytest.mark.parametrize("n", HUGE)
    def test_vectors_fit_any_device(self, n):
        for batch in self.HUGE:
            x, y = launcher.vector_grid(n, batch)
            assert 1 <= x <= min(launcher.MAX_X, n) and 1 <= y <= min(65535, batch)

    @pytest.mark.parametrize("columns", HUGE)
    def test_images_fit_any_device(self, columns):
        for rows in self.HUGE:
            (x, y, z), (width, height) = launcher.image_grid(columns, rows, 2**33)
            assert width * height == launcher.THREADS
            assert x <= 2**31 - 1 and y <= 65535 and z == 65535
            assert (x - 1) * width < columns and (y - 1) * height < rows
            if rows == 1:
                assert width == min(256, 1 << (columns - 1).bit_length())

    def test_nothing_is_launched_for_empty_arrays(self):
        launcher.launch(None, (0, 1), (256,))
