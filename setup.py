"""Makes builds that give the same bytes each time; setup.cfg has everything else.

``SOURCE_DATE_EPOCH`` dates the files of wheels and source distributions, as
https://reproducible-builds.org/specs/source-date-epoch/ defines it; without it they
have one date. Setuptools does the same for wheels but not for source distributions.
"""

import gzip
import os
import pathlib

from setuptools import setup
from setuptools.command.sdist import sdist

os.environ.setdefault("SOURCE_DATE_EPOCH", "1577836800")  # the year 2020
os.umask(0o022)  # of what is generated


class ReproducibleSdist(sdist):
    """Archives whose bytes follow from the files, not from when and where it ran."""

    def make_archive(self, base_name, format, root_dir=None, base_dir=None, **options):
        epoch = int(os.environ["SOURCE_DATE_EPOCH"])
        tree = pathlib.Path(base_dir)
        for path in [tree, *tree.rglob("*")]:
            runs = path.is_dir() or path.stat().st_mode & 0o100
            path.chmod(0o755 if runs else 0o644)
            os.utime(path, (epoch, epoch))
        if format != "gztar":
            return super().make_archive(
                base_name, format, root_dir, base_dir, **options
            )
        packed = super().make_archive(base_name, "tar", root_dir, base_dir, **options)
        path = pathlib.Path(packed)
        archive = path.with_name(path.name + ".gz")
        archive.write_bytes(gzip.compress(path.read_bytes(), mtime=epoch))
        path.unlink()
        return str(archive)


setup(cmdclass={"sdist": ReproducibleSdist})
