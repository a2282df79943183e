"""x W^T + b, by the quicker of the two libraries that torch carries for CPUs.

In float32 `torch.nn.functional.linear` calls the BLAS that torch was built with. On processors with
AVX-512 that are not its maker's own, that library keeps to narrower instructions; oneDNN, which
torch carries as well, does not, and is up to twice as quick there (elsewhere the two are alike). It
can also apply GELU to the result while that is still in cache, which in bfloat16 halves the time of
an MLP's first layer. This is all there is to this module: the same product, the same names and
shapes as `torch.nn.Linear`, and everywhere but on a CPU the same call.
"""

import torch
import torch.nn.functional as F
from torch import nn

from . import flops  # noqa: F401  (teaches torch's counter the product below)
from .errors import InputError

SMALLEST = 64 * 1024  # with fewer results than this, the call costs more than it saves
LONGEST = 4096  # oneDNN sums over more rows than this in one piece, which is slow


def onednn_product(x, weight, bias=None, activation="none"):
    """oneDNN's x W^T + b for rows ``x`` (..., K) and ``weight`` (N, K) on a CPU; no gradient."""
    return torch.ops.mkldnn._linear_pointwise(
        x, weight, bias, activation, [], "none" if activation == "gelu" else ""
    )


def onednn_pays(x, weight):
    """Whether oneDNN may and should compute this product: large, on a CPU, in float32 or
    bfloat16.
    """
    return (
        x.device.type == "cpu"
        and x.dtype == weight.dtype
        and x.dtype in (torch.float32, torch.bfloat16)
        and not torch.compiler.is_compiling()
        and not torch.jit.is_tracing()
        and torch.backends.mkldnn.is_available()
        and torch.backends.mkldnn.enabled
        and hasattr(
            torch.ops.mkldnn, "_linear_pointwise"
        )  # no public name; without it, torch's own BLAS serves
        and x.shape[-1] > 1
        and x.numel() * weight.shape[0] >= SMALLEST * x.shape[-1]
        and (x.dtype == torch.float32 or torch.ops.mkldnn._is_mkldnn_bf16_supported())
    )


class _Product(torch.autograd.Function):
    """The product with its gradients, each a product of the same kind."""

    generate_vmap_rule = True

    @staticmethod
    def forward(x, weight, bias):
        return onednn_product(x, weight, bias)

    @staticmethod
    def setup_context(ctx, inputs, output):
        x, weight, bias = inputs
        ctx.save_for_backward(x, weight)
        ctx.has_bias = bias is not None

    @staticmethod
    def backward(ctx, grad):
        x, weight = ctx.saved_tensors
        rows, grads = x.flatten(0, -2), grad.flatten(0, -2)
        for_x = for_weight = for_bias = None
        if ctx.needs_input_grad[0]:
            for_x = linear(grad, weight.T)
        if ctx.needs_input_grad[1]:
            for_weight = linear(grads.T, rows.T) if len(rows) <= LONGEST else grads.T @ rows
        if ctx.has_bias and ctx.needs_input_grad[2]:
            for_bias = grads.sum(0)
        return for_x, for_weight, for_bias


def linear(x, weight, bias=None, gelu=False):
    """``torch.nn.functional.linear(x, weight, bias)``, with GELU after it if asked for.

    Args:
        x: rows (..., K). weight: (N, K). bias: (N,) or None.
        gelu: apply the exact GELU; without gradients oneDNN does it while the result is still in
            cache.

    Returns:
        (..., N).
    """
    autocast = (
        torch.is_autocast_enabled("cpu") and x.device.type == "cpu" and x.dtype != torch.float64
    )
    if torch.is_grad_enabled() and any(
        t is not None and t.requires_grad for t in (x, weight, bias)
    ):
        with_gradients = x.dtype == torch.float32 and not autocast and onednn_pays(x, weight)
        x = _Product.apply(x, weight, bias) if with_gradients else F.linear(x, weight, bias)
        return F.gelu(x) if gelu else x
    if autocast and not torch.compiler.is_compiling():  # what autocast does to F.linear's arguments
        dtype = torch.get_autocast_dtype("cpu")
        x, weight, bias = x.to(dtype), weight.to(dtype), None if bias is None else bias.to(dtype)
    if onednn_pays(x, weight):
        return onednn_product(x, weight, bias, "gelu" if gelu else "none")
    x = F.linear(x, weight, bias)
    return F.gelu(x) if gelu else x


def matmul(a, b):
    """``a @ b`` for batches of matrices, (B, N, K) and (B, K, M), on a CPU in float32 one by one
    through `linear`.

    ``a`` may also be one matrix (N, K) for all of ``b``.
    """
    pays = (
        not torch.compiler.is_compiling()
        and b.device.type == "cpu"
        and b.dtype == torch.float32
        and not torch.is_autocast_enabled("cpu")
        and b.shape[0] > 0
        and onednn_pays(a[0] if a.ndim == 3 else a, b[0].T)
    )
    if not pays:
        return a @ b
    return torch.stack(
        [linear(x, y.T) for x, y in zip(a if a.ndim == 3 else a.expand(len(b), -1, -1), b)]
    )


class Linear(nn.Linear):
    """`torch.nn.Linear` whose product is computed by `linear`; the call takes its ``gelu`` as
    well.
    """

    def forward(self, x, gelu=False):
        return linear(x, self.weight, self.bias, gelu)


def use_fast_linear(model):
    """Let every plain `torch.nn.Linear` inside ``model`` (say, a ViT from timm) use `linear`;
    weights stay.

    Returns:
        The same model.

    Raises:
        InputError: ``model`` is no `torch.nn.Module`.
    """
    if not isinstance(model, nn.Module):
        raise InputError(f"model must be a torch.nn.Module, got {type(model).__name__}.")
    for module in model.modules():
        if type(module) is nn.Linear:
            module.__class__ = Linear
    return model
