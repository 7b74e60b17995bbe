"""The document's figures; None where it gives none.

Rik Voorhaar, "GMRES: or how to do fast linear algebra", 2022,
https://www.rikvoorhaar.com/blog/gmres
"""

# ||A x - b||^2 and seconds of 2000 steps, by the steps of a cycle
GAUSSIAN = {
    20: (9.3595e-16, 11.32),
    50: (2.4392e-22, 11.71),
    200: (6.3063e-28, 17.34),
    500: (6.9367e-28, 30.50),
}
GAUSSIAN_SIZE = 128

CONDITION = 4409
CONDITION_SIZE = 32

MOTION_SIZE = 256
MOTION_SECONDS = 1.40  # 20 cycles of 100 steps, on a GPU
MOTION_HUNDRED = 0.064  # the first 100 steps, on a GPU

CYCLE_MS = {"NumPy": 263, "JAX on a GPU": 9.16}
CYCLE_JAX_CPU = 4  # how much faster than NumPy JAX is on a CPU

# ||A x - b||^2 and milliseconds
SPARSE_SIZE = 2500
SPARSE = {
    "lstsq": (1.4449e-25, 2941.5),
    "inv(A) x": (2.4763e3, 507.0),
    "scipy gmres": (2.5325e-13, 6.4),
    "textbook gmres": (1.1039e-15, 12.9),
}
SINGULAR_CONDITION = 1.1807555508404976e16
SINGULAR = {"inv(A) b": (3.6223e2, None), "lstsq": (2.8275e-8, None)}
