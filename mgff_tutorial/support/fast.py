"""What is only for speed, applied from outside: no chapter knows of it.

In float32 `torch.nn.functional.linear` calls the BLAS that torch was built with; oneDNN, which
torch carries as well, can be up to twice as quick on one processor and slower on another.
`optimise` measures which, layer by layer, on the machine at hand; names, shapes and weights stay as
they are. Here too is the one count of floating-point operations.
"""

import contextlib
import json
import time
from functools import partial
from math import prod

import torch
import torch.nn.functional as F
from torch import nn
from torch.utils.flop_counter import FlopCounterMode, flop_registry, register_flop_formula

from .device import processor
from .files import write_json
from .paths import cache_dir

SMALLEST = 64 * 1024  # with fewer results than this, the call costs more than it saves
LONGEST = 4096  # oneDNN sums over more rows than this in one piece, which is slow


def onednn_product(x, weight, bias=None):
    """oneDNN's x W^T + b for rows ``x`` (..., K) and ``weight`` (N, K) on a CPU; no gradient."""
    return torch.ops.mkldnn._linear_pointwise(x, weight, bias, "none", [], "")


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


def linear(x, weight, bias=None):
    """``torch.nn.functional.linear(x, weight, bias)`` by oneDNN, where that can be asked.

    Args:
        x: rows (..., K). weight: (N, K). bias: (N,) or None.

    Returns:
        (..., N).
    """
    autocast = torch.is_autocast_enabled("cpu") and x.device.type == "cpu"
    autocast = autocast and x.dtype != torch.float64
    if torch.is_grad_enabled() and any(
        t is not None and t.requires_grad for t in (x, weight, bias)
    ):
        with_gradients = x.dtype == torch.float32 and not autocast and onednn_pays(x, weight)
        return _Product.apply(x, weight, bias) if with_gradients else F.linear(x, weight, bias)
    if autocast and not torch.compiler.is_compiling():  # what autocast does to F.linear's arguments
        dtype = torch.get_autocast_dtype("cpu")
        x, weight = x.to(dtype), weight.to(dtype)
        bias = None if bias is None else bias.to(dtype)
    if onednn_pays(x, weight):
        return onednn_product(x, weight, bias)
    return F.linear(x, weight, bias)


class Linear(nn.Linear):
    """`torch.nn.Linear` whose product is computed by `linear`."""

    def forward(self, x):
        return linear(x, self.weight, self.bias)


def optimise(model, images, rounds=5):
    """Let each linear layer of a model use the quicker of torch's two libraries, as measured here.

    Only on a CPU, and only `torch.nn.Linear` layers, whose class changes to `Linear`; outputs agree
    to rounding, weights and state dict stay. What was measured is kept in the cache folder, by
    processor, torch, threads and dtype.

    Args:
        model: in the state in which it will be used.
        images: a batch of the size that it will see.
        rounds: measurements of each shape; the quickest counts.

    Returns:
        The same model.
    """
    return use_onednn(model, find_quicker(model, images, rounds))


def use_onednn(model, names):
    """Change the class of the linear layers of these names to `Linear`; returns the model."""
    for name in names:
        model.get_submodule(name).__class__ = Linear
    return model


def find_quicker(model, images, rounds=5):
    """Names of the linear layers for which oneDNN is the quicker library; `optimise` says more."""
    if images.device.type != "cpu":
        return []
    layers = {name: module for name, module in model.named_modules() if type(module) is nn.Linear}
    rows = {}
    hooks = [
        layer.register_forward_pre_hook(partial(_note_rows, rows, name))
        for name, layer in layers.items()
    ]
    try:
        with torch.inference_mode():
            model(images)
    finally:
        for hook in hooks:
            hook.remove()
    path = cache_dir() / "fast.json"
    known = _measured_before(path)
    machine = f"{processor()}, torch {torch.__version__}, "
    machine = known.setdefault(f"{machine}{torch.get_num_threads()} threads, {images.dtype}", {})
    quicker = []
    for name, count in rows.items():
        layer = layers[name]
        key = f"{count} x {layer.in_features} x {layer.out_features}"
        if not isinstance(machine.get(key), (int, float)):
            machine[key] = round(_ratio(count, layer, images.dtype, rounds), 3)
        if machine[key] > 1.05:
            quicker.append(name)
    with contextlib.suppress(OSError):  # a cache that cannot be kept is measured again
        write_json(path, known)
    return quicker


def _measured_before(path):
    """What the cache holds; nothing where it is not there or holds something else."""
    try:
        known = json.loads(path.read_text("utf-8"))
    except (OSError, ValueError):
        return {}
    sound = isinstance(known, dict) and all(isinstance(part, dict) for part in known.values())
    return known if sound else {}


def _note_rows(rows, name, layer, inputs):
    rows[name] = inputs[0].shape[:-1].numel()


def _ratio(rows, layer, dtype, rounds):
    """Time of torch's product over oneDNN's, measured in turn; 0 where oneDNN can't be asked."""
    x, weight = torch.randn(rows, layer.in_features, dtype=dtype), layer.weight.detach()
    bias = None if layer.bias is None else layer.bias.detach()
    if not onednn_pays(x, weight):
        return 0.0
    best = [float("inf")] * 2
    with torch.inference_mode():
        for _ in range(rounds):
            for i, product in enumerate((F.linear, onednn_product)):
                start = time.perf_counter()
                product(x, weight, bias)
                best[i] = min(best[i], time.perf_counter() - start)
    return best[0] / best[1]


def _linear(x, weight, *args, out_shape=None, **kwargs):
    return 2 * prod(x) * weight[0]


def _attention(query, key, value, *args, out_shape=None, **kwargs):
    return 2 * prod(query) * key[-2] + 2 * prod(query[:-1]) * key[-2] * value[-1]


def _attention_backward(grad, query, key, value, *args, out_shape=None, **kwargs):
    return 5 * prod(query) * key[-2] * 2  # the scores once more, and four gradients


def _teach(namespace, name, formula):
    kernel = getattr(namespace, name, None)
    if kernel is not None and kernel not in flop_registry:
        register_flop_formula(kernel)(formula)


if torch.backends.mkldnn.is_available():
    _teach(torch.ops.mkldnn, "_linear_pointwise", _linear)
_teach(torch.ops.aten, "_scaled_dot_product_flash_attention_for_cpu", _attention)
_teach(torch.ops.aten, "_scaled_dot_product_flash_attention_for_cpu_backward", _attention_backward)


def count_flops(step):
    """Floating-point operations of ``step()``, a function without arguments."""
    with FlopCounterMode(display=False) as counter:
        step()
    return counter.get_total_flops()
