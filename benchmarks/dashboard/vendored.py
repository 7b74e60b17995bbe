"""The scripts and styles that asv's page takes from a network, and copies of them."""

import base64
import hashlib
from typing import NamedTuple

from .defaults import BENCHMARKS

FOLDER = BENCHMARKS / "dashboard" / "vendor"
CDNJS = "https://cdnjs.cloudflare.com/ajax/libs/"
JSDELIVR = "https://cdn.jsdelivr.net/npm/"


class Copy(NamedTuple):
    """A file of an npm package in place of one that asv's page loads.

    The integrity of most is the one that asv's page asks for. The registry has no
    minified files of Flot 0.8.3, whose sources take their place, and of the sorting of
    tables only a later version.
    """

    url: str
    file: str
    package: str
    integrity: str
    same: bool = True

    def verify(self):
        """Refuse a copy that has been changed."""
        name, expected = self.integrity.split("-", 1)
        found = hashlib.new(name, (FOLDER / self.file).read_bytes()).digest()
        if base64.b64encode(found).decode() != expected:
            raise ValueError(
                f"{self.file} is not that of {self.package}; take it from npm again"
            )


COPIES = (
    Copy(
        "https://code.jquery.com/jquery-3.3.1.min.js",
        "jquery.min.js",
        "jquery@3.3.1",
        "sha256-FgpCb/KJQlLNfOu91ta32o/NMZxltwRo8QtmkMRdAu8=",
    ),
    Copy(
        CDNJS + "flot/0.8.3/jquery.flot.min.js",
        "jquery.flot.js",
        "flot@0.8.3",
        "sha256-t7kx8nPDixJ3ucbB9OBcTsCYhaSHvdrzJ54tfkmjjhI=",
        same=False,
    ),
    Copy(
        CDNJS + "flot/0.8.3/jquery.flot.time.min.js",
        "jquery.flot.time.js",
        "flot@0.8.3",
        "sha256-pYLIMq3HE4prBar2HxbrrCdHAfG+Sv6nfnOaHDS5xBo=",
        same=False,
    ),
    Copy(
        CDNJS + "flot/0.8.3/jquery.flot.selection.min.js",
        "jquery.flot.selection.js",
        "flot@0.8.3",
        "sha256-5shfbB6+S02inYriOMfFBgKD8F9+8FT2uRgX0CwJKRg=",
        same=False,
    ),
    Copy(
        CDNJS + "flot/0.8.3/jquery.flot.categories.min.js",
        "jquery.flot.categories.js",
        "flot@0.8.3",
        "sha256-boFmSyjqeVxzSQb0qhVhRkCnWsf705mn+5CEBAaYNRo=",
        same=False,
    ),
    Copy(
        JSDELIVR + "flot-orderbars@1.0.0/js/jquery.flot.orderBars.js",
        "jquery.flot.orderBars.js",
        "flot-orderbars@1.0.0",
        "sha256-OXNbT0b5b/TgglckAfR8VaJ2ezZv0dHoIeRKjYMKEr8=",
    ),
    Copy(
        CDNJS + "stupidtable/1.0.1/stupidtable.min.js",
        "stupidtable.min.js",
        "stupid-table-plugin@1.1.3",
        "sha256-RkI4Dyjr6e18rCUXk7KB74YgxDhiBdkniPmxL1zOtOA=",
        same=False,
    ),
    Copy(
        CDNJS + "blueimp-md5/2.19.0/js/md5.min.js",
        "md5.min.js",
        "blueimp-md5@2.19.0",
        "sha512-8pbzenDolL1l5OPSsoURCx9TEdMFTaeFipASVrMYKhuYtly+k3tcsQYliOEKTmuB"
        "1t7yuzAiVo+yd7SJz+ijFQ==",
    ),
    Copy(
        JSDELIVR + "bootstrap@3.1.1/dist/js/bootstrap.min.js",
        "bootstrap.min.js",
        "bootstrap@3.1.1",
        "sha256-iY0FoX8s/FEg3c26R6iFw3jAtGbzDwcA5QJ1fiS0A6E=",
    ),
    Copy(
        JSDELIVR + "bootstrap@3.1.1/dist/css/bootstrap.min.css",
        "bootstrap.min.css",
        "bootstrap@3.1.1",
        "sha256-6VA0SGkrc43SYPvX98q/LhHwm2APqX5us6Vuulsafps=",
    ),
)
