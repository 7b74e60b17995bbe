"""The two products of a layer as functions, how long they are measured, and torch."""


def rounds(args):
    """How long `interleaved` measures a call."""
    return {"seconds": 0.05, "rounds": 3} if args.quick else {"seconds": 2.0}


def products(op, x, y):
    """Both products as functions without arguments."""
    return {"forward": lambda: op.forward(x), "adjoint": lambda: op.adjoint(y)}


def torch_or_none(threads):
    """torch with so many threads, or None where it is not installed."""
    try:
        import torch
    except ImportError:
        return None
    torch.set_num_threads(threads)
    return torch
