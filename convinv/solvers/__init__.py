"""One file per method; importing them fills the registry."""

from . import (
    adbk,
    cg,
    cgls,
    direct,
    embedding,
    fdbk,
    gauss_seidel,
    gbk,
    gmres,
    gradient,
    kaczmarz,
    lsmr,
    lsqr,
    rbk,
    rek,
    richardson_lucy,
    rk,
    rshek,
    rshk,
    schwarz,
    spectral,
    strip,
)
from ._registry import METHODS, Method
