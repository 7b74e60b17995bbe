"""Condition numbers and eigenvalues of the two blurs' matrices."""

import numpy as np

from convinv import gallery, spectra

from ...support.outcome import Claim, Outcome, Table
from . import document, figures, problems


def run(quick=False):
    return outcome(16 if quick else document.CONDITION_SIZE)


def outcome(size):
    kernels = {
        "Gaussian": gallery.gaussian_kernel(problems.TAPS, problems.BLURRED),
        "motion": gallery.motion_kernel(problems.TAPS, problems.PATH),
    }
    matrices = {name: problems.dense(k, size) for name, k in kernels.items()}
    values = {n: np.linalg.svd(A, compute_uv=False) for n, A in matrices.items()}
    eigenvalues = {n: spectrum(A) for n, A in matrices.items()}
    theirs = document.CONDITION if size == document.CONDITION_SIZE else None
    rows = [
        (
            name,
            theirs if name == "Gaussian" else None,
            f"{s[0] / s[-1]:.2f}",
            f"{estimate(kernels[name], size):.2f}",
            float(eigenvalues[name].real.min()),
            float(np.abs(eigenvalues[name].imag).max()),
            f"{100 * np.mean(eigenvalues[name].real < 0):.0f}",
            f"{widest_gap(eigenvalues[name]):.0f}",
        )
        for name, s in values.items()
    ]
    text = (
        f"Matrices of {size}x{size} images, {problems.TAPS}x{problems.TAPS} taps; "
        "condition: of the dense matrix, and what Lanczos steps find without it; "
        "left: eigenvalues with a negative real part; gap: the widest sector around 0 "
        "without eigenvalues, 180 degrees or more where 0 is outside of them"
    )
    columns = (
        "kernel,document condition,condition,Lanczos condition,least real part,"
        "largest imaginary part,left %,gap degrees"
    )
    drawn = {
        "spectra-eigenvalues": figures.eigenvalues(eigenvalues),
        "spectra-singular-values": figures.singular_values(values),
        "spectra-kernels": figures.pictures(kernels, limits=None),
    }
    table = Table("Spectra", text, columns, rows)
    return Outcome([table], claims(values, eigenvalues, theirs, size), [], drawn)


def claims(values, eigenvalues, theirs, size):
    s, normal = values["Gaussian"], eigenvalues["Gaussian"]
    found = s[0] / s[-1]
    line = problems.line_condition(problems.TAPS, problems.BLURRED, size) ** 2
    made = [
        Claim(
            "Gaussian: the condition number is that of a line, squared",
            f"{found:.4f} and {line:.4f}",
            abs(found / line - 1) < 1e-8,
        ),
        Claim(
            "Gaussian: eigenvalues are real and positive",
            f"at least {normal.real.min():.2e}",
            normal.real.min() > 0 and np.abs(normal.imag).max() == 0,
        ),
        Claim(
            "motion: eigenvalues surround 0",
            f"the widest gap is {widest_gap(eigenvalues['motion']):.0f} degrees",
            widest_gap(eigenvalues["motion"]) < 180,
        ),
    ]
    if theirs:
        text = f"Gaussian: the document's condition number, {theirs}"
        made.insert(0, Claim(text, f"{found:.2f}", round(found) == theirs))
    return made


def estimate(kernel, size):
    """What Lanczos steps, as many as unknowns, find: at most the condition number."""
    op = problems.convolution(kernel, size)
    return spectra.spectrum(op, steps=size**2, rng=0).condition


def spectrum(A):
    """Eigenvalues; of a symmetric matrix as its symmetry has them."""
    if np.allclose(A, A.T, rtol=0, atol=1e-15):
        return np.linalg.eigvalsh(A).astype(complex)
    return np.linalg.eigvals(A)


def widest_gap(eigenvalues):
    """The widest sector with its apex in 0 that holds no eigenvalue, in degrees."""
    angles = np.sort(np.angle(eigenvalues[eigenvalues != 0]))
    around = np.append(angles, angles[0] + 2 * np.pi)
    return float(np.degrees(np.diff(around).max()))
