"""The same products by torch, which calls cuDNN."""

import warnings


def load():
    """``(torch, None)``, or None and why it can't be measured."""
    try:
        import torch
    except ImportError as error:
        return None, f"cuDNN was not measured: {error}"
    if not torch.cuda.is_available():
        return None, f"cuDNN was not measured: torch {torch.__version__} has no device"
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # new versions of torch have other names too
        torch.backends.cuda.matmul.allow_tf32 = False
        torch.backends.cudnn.allow_tf32 = False
    torch.backends.cudnn.benchmark = True  # it may take its fastest algorithm
    return torch, None


def products(torch, layer, op, x, y):
    """Functions without arguments, by their names; none where padding isn't zeros."""
    if layer.boundary != "zero":
        return {}
    with torch.no_grad():
        forward, adjoint = layer.torch_products(op, x, y)
    return {"forward": forward, "adjoint": adjoint}


def array(xp, tensor):
    """A tensor on the device as an array, in the same memory."""
    return xp.from_dlpack(tensor)
