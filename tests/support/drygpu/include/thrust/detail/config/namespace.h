// Included by CuPy's complex numbers; `kernel.hpp` has the macros.
