"""Floating-point operations of a computation, two for a multiply and an add, as torch's own counter
counts them.

The counter knows the products of every device but three kernels of the CPU: oneDNN's linear layer
and fused attention, forwards and backwards. They are taught here, so that a model has the same
count on every device.
"""

from math import prod

import torch
from torch.utils.flop_counter import FlopCounterMode, flop_registry, register_flop_formula


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
