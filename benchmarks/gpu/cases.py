"""The problem on which each method is tried."""

from convinv import ConvLinearOperator

from ..support.problems import problem_operator

# A method's own default where it suits a device, else what does.
OPTIONS = {
    "gauss-seidel": {"order": "multicolor"},
    "kaczmarz": {"order": "multicolor"},
    "gbk": {"inner_rtol": 0.01},
}
BLUR = ("cg", "gmres")  # those that need a square operator


def operator(method, size, dtype):
    """On the host: a layer of 3 -> 8 channels, for some methods a blur."""
    if method in BLUR:
        return problem_operator("blur", size, dtype)
    op = problem_operator("layer", size, dtype)
    if method != "spectral":
        return op
    return ConvLinearOperator(
        op.kernel, op.input_shape, padding="same", boundary="periodic"
    )
