"""conv_solve: by PyTorch's own check of gradients, and by dense pseudoinverses."""

import pytest

torch = pytest.importorskip("torch")
from torch.autograd import gradcheck, gradgradcheck  # noqa: E402
from torch.nn import functional as F  # noqa: E402

from convinv import ConvergenceError, ConvergenceWarning  # noqa: E402
from convinv.interop.torch import conv_solve  # noqa: E402
from support.torch_versions import COMPILES  # noqa: E402

REAL, COMPLEX = torch.float64, torch.complex128
CONVOLUTIONS = F.conv1d, F.conv2d, F.conv3d
TRANSPOSED = F.conv_transpose1d, F.conv_transpose2d, F.conv_transpose3d
MODES = ("reflect", "replicate", "circular")


def forward(x, weight, padding=0, padding_mode="zeros", transposed=False, **options):
    """The layer by PyTorch itself."""
    axes = weight.ndim - 2
    if transposed:
        return TRANSPOSED[axes - 1](x, weight, padding=padding, **options)
    if padding_mode != "zeros":
        x = F.pad(x, [padding] * 2 * axes, mode=padding_mode)
        padding = 0
    return CONVOLUTIONS[axes - 1](x, weight, padding=padding, **options)


def case(name, channels, taps, size, damp=0.0, dtype=REAL, **options):
    """A row: (channels in, out), taps, size; damp > 0 is differentiated too."""
    return pytest.param(channels, taps, size, damp, dtype, options, id=name)


SHAPES = {"tall": (2, 4), "wide": (3, 2), "square": (2, 2)}


def rows():
    for shape, channels in SHAPES.items():
        padding = {"padding": 1} if shape == "square" else {}
        for damp in (0.0, 0.4):
            mark = f"{shape}{' damped' * bool(damp)}"
            for dtype in (REAL, COMPLEX):
                kind = " complex" * (dtype is COMPLEX)
                yield case(
                    mark + kind, channels, (3, 3), (5, 4), damp, dtype, **padding
                )
            yield case(f"{mark} 1-D", channels, (3,), (9,), damp, **padding)
            yield case(f"{mark} 3-D", channels, (2, 2, 2), (3, 4, 3), damp)
            yield case(f"{mark} bias", channels, (2, 3), (4, 5), damp, bias=True)
            yield case(f"{mark} one item", channels, (2, 3), (4, 5), damp, batch=())
            yield case(f"{mark} x0", channels, (2, 2), (4, 4), damp, x0=True)
    for mode in MODES:
        for channels in ((2, 3), (3, 2)):
            for damp in (0.0, 0.4):
                options = {"padding": 1, "padding_mode": mode}
                name = f"{mode} {channels} {damp}"
                yield case(name, channels, (3, 3), (5, 4), damp, **options)
    for damp in (0.0, 0.4):
        more = {"damp": damp}
        yield case(f"stride {damp}", (2, 9), (3, 3), (7, 5), stride=2, **more)
        yield case(f"stride, wide {damp}", (2, 3), (3, 3), (7, 5), stride=2, **more)
        yield case(f"groups {damp}", (4, 6), (3, 3), (5, 4), groups=2, **more)
        yield case(f"dilation {damp}", (2, 4), (2, 2), (6, 7), dilation=2, **more)
        yield case(f"depthwise {damp}", (3, 6), (3, 3), (5, 4), groups=3, **more)
        # pixels that no window sees, rows that say the same: neither rank is full
        yield case(f"unseen {damp}", (2, 3), (1, 1), (5, 4), stride=2, **more)
        yield case(f"common zeros {damp}", (1, 3), (3, 3), (5, 5), **more)
        flat = {"transposed": True, **more}
        yield case(f"transposed {damp}", (2, 3), (3, 3), (4, 4), **flat)
        yield case(f"transposed, wide {damp}", (4, 1), (2, 2), (4, 4), stride=2, **flat)
        yield case(
            f"output_padding {damp}",
            (4, 2),
            (3, 3),
            (3, 4),
            stride=2,
            padding=1,
            output_padding=1,
            groups=2,
            **flat,
        )
        yield case(
            f"transposed complex {damp}", (2, 3), (3, 3), (3, 4), dtype=COMPLEX, **flat
        )


ROWS = list(rows())


def variables(channels, taps, size, damp, dtype, options, seed, rtol=1e-11):
    """A function of y, weight and what else is differentiated, and its arguments."""
    generator = torch.Generator().manual_seed(seed)

    def normal(*shape):
        return torch.randn(shape, dtype=dtype, generator=generator).requires_grad_()

    options = dict(options)
    batch = options.pop("batch", (2,))
    with_bias, with_x0 = options.pop("bias", False), options.pop("x0", False)
    c_in, c_out = channels
    groups = options.get("groups", 1)
    turned = options.get("transposed", False)
    first = (c_in, c_out // groups) if turned else (c_out, c_in // groups)
    weight, x = normal(*first, *taps), normal(*batch, c_in, *size)
    rows = forward(x.reshape(-1, *x.shape[len(batch) :]), weight, **options)
    y = normal(*batch, *rows.shape[1:])
    arguments = {"y": y, "weight": weight}
    if with_bias:
        arguments["bias"] = normal(c_out)
    if with_x0:
        arguments["x0"] = x
    if damp:
        arguments["damp"] = torch.tensor(damp, dtype=REAL, requires_grad=True)
    shape, names = (c_in, *size), list(arguments)

    def function(*values):
        given = dict(zip(names, values))
        return conv_solve(**given, input_shape=shape, rtol=rtol, **options)

    return function, tuple(arguments.values()), (shape, names, options)


def dense(values, shape, names, options):
    """The same by the dense pseudoinverse, differentiated by PyTorch."""
    given = dict(zip(names, values))
    y, weight = given["y"], given["weight"]
    eye = torch.eye(int(torch.tensor(shape).prod()), dtype=weight.dtype)
    matrix = forward(eye.reshape(-1, *shape), weight, **options).flatten(1).T
    axes = len(shape)
    lead = y.shape[: y.ndim - axes]
    if "bias" in given:
        y = y - given["bias"].reshape(-1, *[1] * (axes - 1))
    b = y.reshape(-1, matrix.shape[0]).T
    damp = given.get("damp", torch.zeros((), dtype=REAL))
    start = 0
    if "x0" in given and not damp:
        start = given["x0"].reshape(-1, matrix.shape[1]).T
        b = b - matrix @ start
    m, n = matrix.shape
    if damp or m > n:
        normal = matrix.mH @ matrix + damp**2 * torch.eye(n, dtype=matrix.dtype)
        x = torch.linalg.solve(normal, matrix.mH @ b)
    else:
        x = matrix.mH @ torch.linalg.solve(matrix @ matrix.mH, b)
    return (start + x).T.reshape(*lead, *shape)


@pytest.mark.filterwarnings("ignore:.torch.jit.script:DeprecationWarning")
@pytest.mark.parametrize("channels, taps, size, damp, dtype, options", ROWS)
def test_gradients(channels, taps, size, damp, dtype, options):
    """First and second order, forward too, by differences."""
    function, values, _ = variables(channels, taps, size, damp, dtype, options, 20)
    assert gradcheck(function, values, fast_mode=True, check_forward_ad=True)
    more = {"check_fwd_over_rev": True, "check_rev_over_rev": True}
    assert gradgradcheck(function, values, fast_mode=True, atol=1e-4, **more)


def close(found, wanted):
    size = max(float(wanted.detach().abs().max()), 1.0)
    torch.testing.assert_close(found, wanted, rtol=0, atol=1e-8 * size)


@pytest.mark.parametrize("name", ["unseen 0.0", "common zeros 0.0", "wide", "square"])
def test_second_order_of_data_in_the_range(name):
    """Where no right-hand side shows that the layer has no full rank."""
    row = next(row for row in ROWS if row.id == name)
    _, (_, weight), (shape, _, options) = variables(*row.values, 20)
    x = torch.randn((2, *shape), dtype=REAL, requires_grad=True)

    def function(x, weight):
        y = forward(x, weight, **options)
        return conv_solve(y, weight, shape, rtol=1e-11, **options)

    assert gradcheck(function, (x, weight), fast_mode=True)
    assert gradgradcheck(function, (x, weight), fast_mode=True, atol=1e-4)


FULL_RANK = [
    row
    for row in ROWS
    if not any(word in row.id for word in ("unseen 0.0", "common zeros 0.0"))
]


@pytest.mark.parametrize("channels, taps, size, damp, dtype, options", FULL_RANK)
def test_gradients_of_the_dense_pseudoinverse(
    channels, taps, size, damp, dtype, options
):
    row = channels, taps, size, damp, dtype, options
    function, values, more = variables(*row, 5, rtol=1e-13)
    x, wanted = function(*values), dense(values, *more)
    close(x, wanted)
    generator = torch.Generator().manual_seed(9)
    g = torch.randn(x.shape, dtype=dtype, generator=generator)
    found = torch.autograd.grad(x, values, g, allow_unused=True)
    expected = torch.autograd.grad(wanted, values, g, allow_unused=True)
    for mine, theirs in zip(found, expected):
        if theirs is not None:
            close(mine, theirs)
        else:
            assert mine is None or not mine.any()


def loss(y, weight, bias, damp):
    x = conv_solve(y, weight, (3, 12, 12), bias=bias, damp=damp)
    return x.square().sum()


@pytest.fixture
def leaves():
    torch.manual_seed(7)
    shapes = (4, 8, 10, 10), (8, 3, 3, 3), (8,)
    tensors = [torch.randn(s, dtype=REAL, requires_grad=True) for s in shapes]
    return (*tensors, torch.tensor(0.3, dtype=REAL, requires_grad=True))


@pytest.mark.filterwarnings("ignore:.torch.jit.script:DeprecationWarning")
def test_transforms(leaves):
    """The transforms of torch.func give what backward gives."""
    y, weight, bias, damp = leaves
    wanted = torch.autograd.grad(loss(*leaves), leaves)
    found = torch.func.grad(loss, argnums=(0, 1, 2, 3))(*leaves)
    for mine, theirs in zip(found, wanted):
        close(mine, theirs)
    jacobian = torch.func.jacrev(lambda w: conv_solve(y[0], w, (3, 12, 12), damp=damp))
    full = torch.autograd.functional.jacobian(
        lambda w: conv_solve(y[0], w, (3, 12, 12), damp=damp), weight
    )
    close(jacobian(weight), full)
    forward = torch.func.jacfwd(lambda w: conv_solve(y[0], w, (3, 12, 12), damp=damp))
    close(forward(weight), full)
    hessian = torch.func.hessian(loss, argnums=3)(*leaves)
    twice = torch.func.grad(torch.func.grad(loss, argnums=3), argnums=3)
    close(hessian, twice(*leaves))
    one = torch.autograd.grad(loss(*leaves), damp, create_graph=True)[0]
    close(twice(*leaves), torch.autograd.grad(one, damp)[0])


def test_batches_by_vmap(leaves):
    y, weight, bias, damp = (t.detach() for t in leaves)
    items = torch.func.vmap(lambda y: conv_solve(y, weight, (3, 12, 12), damp=damp))(y)
    close(items, conv_solve(y, weight, (3, 12, 12), damp=damp))
    each = torch.func.vmap(torch.func.grad(loss, argnums=1), (0, None, None, None))
    close(
        each(y, weight, bias, damp),
        torch.stack(
            [torch.func.grad(loss, argnums=1)(t, weight, bias, damp) for t in y]
        ),
    )
    weights, damps = torch.stack([weight, weight + 1]), torch.stack([damp, 2 * damp])
    both = torch.func.vmap(torch.func.grad(loss, argnums=1), (None, 0, None, 0))
    close(
        both(y, weights, bias, damps),
        torch.stack(
            [
                torch.func.grad(loss, argnums=1)(y, w, bias, d)
                for w, d in zip(weights, damps)
            ]
        ),
    )
    start = torch.randn((4, 3, 12, 12), dtype=REAL)
    wide = weight[:2]
    close(
        torch.func.vmap(lambda y, s: conv_solve(y, wide, (3, 12, 12), x0=s))(
            y[:, :2], start
        ),
        conv_solve(y[:, :2], wide, (3, 12, 12), x0=start),
    )


@COMPILES
@pytest.mark.parametrize("shape", SHAPES)
def test_compiled(shape, leaves):
    """One graph, with the gradients of the uncompiled function."""
    channels = {"tall": 8, "wide": 2, "square": 3}[shape]
    y, weight, bias, damp = leaves
    weight = weight[:channels].detach().requires_grad_()
    options = {"padding": 1} if shape == "square" else {}
    size = 12 if shape == "square" else 10
    y = torch.randn((4, channels, size, size), dtype=REAL, requires_grad=True)

    def function(y, weight, damp):
        return conv_solve(y, weight, (3, 12, 12), damp=damp, **options).sin().sum()

    for damping in (0.0, damp):
        torch._dynamo.reset()
        values = y, weight, damping
        by = [t for t in values if isinstance(t, torch.Tensor)]
        compiled = torch.compile(function, fullgraph=True, backend="aot_eager")
        found = torch.autograd.grad(compiled(*values), by)
        for mine, theirs in zip(found, torch.autograd.grad(function(*values), by)):
            close(mine, theirs)


@pytest.mark.filterwarnings("ignore:The .grad attribute of a Tensor")  # in 2.14
def test_registered_as_pytorch_asks(leaves):
    """The operator that stays in a graph: its schema, its shapes, its gradients."""
    from convinv.interop._call import Call
    from convinv.interop._layer_map import layer_map
    from convinv.interop.torch import _compiled

    y, weight, _, damp = leaves
    layer = layer_map(weight.shape, (3, 12, 12))
    call = Call(layer, rtol=1e-10, gradient_rtol=1e-10)
    torch.library.opcheck(
        _compiled._solve, (y, weight, damp, None, *_compiled.encoded(call))
    )


def test_dtypes():
    """Half precision is computed in single, and the result is y's."""
    torch.manual_seed(1)
    weight, x = torch.randn(8, 3, 3, 3), torch.rand(2, 3, 12, 12)
    y = F.conv2d(x, weight)
    assert conv_solve(y, weight, (3, 12, 12)).dtype == torch.float32
    close = torch.testing.assert_close
    close(conv_solve(y, weight, (3, 12, 12)), x, rtol=0, atol=1e-5)
    for dtype in (torch.float16, torch.bfloat16):
        weight_ = weight.to(dtype).requires_grad_()
        y = F.conv2d(x, weight_.float()).to(dtype)
        found = conv_solve(y, weight_, (3, 12, 12))
        found.float().sum().backward()
        assert found.dtype == weight_.grad.dtype == dtype
        error = torch.finfo(dtype).eps * 10
        close(found.float(), x, rtol=0, atol=error)
        with torch.autocast("cpu", dtype=torch.bfloat16):
            again = conv_solve(y, weight_, (3, 12, 12))
        close(again, found, rtol=0, atol=error)
    mixed = conv_solve(y.double(), weight.to(torch.complex64), (3, 12, 12))
    assert mixed.dtype == COMPLEX


def test_channels_last_and_views():
    torch.manual_seed(2)
    weight, x = torch.randn(8, 3, 3, 3, dtype=REAL), torch.rand(2, 3, 9, 9, dtype=REAL)
    y = F.conv2d(x, weight)
    last = y.to(memory_format=torch.channels_last)
    close(conv_solve(last, weight.flip(0).flip(0), (3, 9, 9)), x)
    assert conv_solve(y[:0], weight, (3, 9, 9)).shape == (0, 3, 9, 9)
    z = torch.randn(4, 2, 3, 3, dtype=COMPLEX)
    lazy = F.conv2d(x[:, :2].to(COMPLEX), z).conj()
    close(conv_solve(lazy, z.conj(), (2, 9, 9)), x[:, :2].to(COMPLEX))


def test_weights_are_known_by_their_values():
    """A weight that an optimizer changes in place has another inverse."""
    torch.manual_seed(3)
    weight, x = torch.randn(8, 3, 3, 3, dtype=REAL), torch.rand(2, 3, 9, 9, dtype=REAL)
    for _ in range(3):
        weight.data.mul_(1.5).add_(0.1)  # behind the version counter's back
        close(conv_solve(F.conv2d(x, weight), weight, (3, 9, 9)), x)


def test_memory_of_backward_does_not_depend_on_iterations():
    """Two hundred iterations keep what two keep: y, the weight, damp and x."""
    weight = torch.randn(2, 2, 3, 3, dtype=REAL, requires_grad=True)
    y = torch.randn(1, 2, 12, 12, dtype=REAL, requires_grad=True)
    for maximum in ("cgls", "auto"):
        kept = []
        with torch.autograd.graph.saved_tensors_hooks(
            lambda t: kept.append(t.numel()) or t, lambda t: t
        ):
            options = {"padding": 1, "damp": 0.01, "method": maximum}
            conv_solve(y, weight, (2, 12, 12), rtol=1e-10, **options)
        assert sum(kept) <= 2 * y.numel() + weight.numel() + 1


def test_no_convergence_is_told():
    weight = torch.zeros(2, 1, 3, 3, dtype=REAL)
    weight[:, :, 1, 1] = 1e-7
    weight[0, 0, 0, 0] = 1.0
    y = torch.randn(1, 2, 40, 40, dtype=REAL)
    options = {"input_shape": (1, 40, 40), "padding": 1, "method": "gradient"}
    with pytest.warns(ConvergenceWarning):
        conv_solve(y, weight, rtol=1e-14, **options)
    with pytest.raises(ConvergenceError):
        conv_solve(y, weight, rtol=1e-14, on_failure="raise", **options)


WEIGHT, Y = torch.ones(8, 3, 3, 3), torch.ones(2, 8, 10, 10)


@pytest.mark.parametrize(
    "change, message",
    [
        ({"y": Y[:, :5]}, r"y must have shape \(N, 8, 10, 10\) or \(8, 10, 10\)"),
        ({"y": Y.numpy()}, "y must be a tensor of dtype.*got ndarray"),
        ({"y": Y.int()}, "got torch.int32"),
        ({"bias": torch.ones(3)}, r"bias must have shape \(8,\)"),
        ({"damp": -1.0}, "damp must be"),
        ({"damp": torch.tensor(-1.0)}, "damp must be"),
        ({"damp": torch.ones(2)}, "damp must be one real number"),
        ({"input_shape": (4, 12, 12)}, "input_shape has 4 channels"),
        ({"output_padding": 1}, "output_padding is for transposed=True"),
        ({"padding_mode": "circle"}, "did you mean"),
        ({"on_failure": "never"}, "on_failure must be one of"),
        ({"method": "newton"}, "method"),
        ({"x0": torch.ones(4, 3, 12, 12)}, r"x0 must have shape \(2, 3, 12, 12\)"),
        ({"x0": torch.ones(3, 12, 12), "damp": torch.tensor(0.0)}, "x0 needs a damp"),
        ({"weight": WEIGHT.to("meta")}, "weight must be on y's device cpu, got meta"),
    ],
)
def test_refuses(change, message):
    given = {"y": Y, "weight": WEIGHT, "input_shape": (3, 12, 12), **change}
    with pytest.raises((ValueError, TypeError), match=message):
        conv_solve(**given)
