"""softmax(Q K^T / sqrt(d) + bias) V, by the quicker of two ways.

`torch.nn.functional.scaled_dot_product_attention` computes it in one fused kernel that never writes
the scores to
memory. In bfloat16 on a CPU two batched products with a softmax between them are quicker than that
kernel: in training twice as quick, without gradients by a quarter if they go through a few windows
    at a time, so that the scores stay in
cache. This is all there is to this module: everywhere else it is the fused kernel.
"""

import torch
import torch.nn.functional as F

IN_CACHE = 2**20  # scores at a time: 2 MiB of bfloat16


def attend(q, k, v, bias=None, dropout=0.0):
    """Attention with an additive bias.

    Args:
        q, k, v: (B * nW, heads, N, d), the windows of one image after those of another.
        bias: (nW, heads, N, N), the same for every image (nW = 1: for every window), or None.
        dropout: rate for the attention weights.

    Returns:
        (B * nW, heads, N, d), laid out so that ``.transpose(1, 2).flatten(2)`` is free.
    """
    if bias is not None:
        bias = bias.to(q.dtype)
        if products_pay(q):
            in_training = torch.is_grad_enabled() and any(t.requires_grad for t in (q, k, v, bias))
            return (
                by_products(q, k, v, bias, dropout)
                if in_training or dropout
                else attend_in_pieces(q, k, v, bias)
            )
        if len(bias) > 1:
            bias = bias.expand(q.shape[0] // len(bias), *bias.shape).flatten(0, 1)
    return F.scaled_dot_product_attention(q, k, v, attn_mask=bias, dropout_p=dropout)


def products_pay(q):
    """Whether products and softmax one by one may and should replace the fused kernel."""
    return (
        q.device.type == "cpu"
        and q.dtype == torch.bfloat16
        and not torch.compiler.is_compiling()
        and not torch.jit.is_tracing()
        and torch.backends.mkldnn.is_available()
        and torch.backends.mkldnn.enabled
        and torch.ops.mkldnn._is_mkldnn_bf16_supported()
        and not getattr(torch.cpu, "_is_amx_tile_supported", bool)()
    )  # with AMX the fused kernel has its own code


def by_products(q, k, v, bias, dropout=0.0):
    """The same without the fused kernel, all windows at once; what autograd needs."""
    windows, heads, tokens, d = q.shape
    scores = (q * d**-0.5) @ k.transpose(-2, -1)
    scores = (
        scores.view(windows // len(bias), *bias.shape) + bias
    )  # every image has the same windows
    weights = scores.softmax(-1).view(windows, heads, tokens, tokens)
    return F.dropout(weights, dropout) @ v


def attend_in_pieces(q, k, v, bias):
    """The same without the fused kernel, a few windows at a time; no gradient."""
    windows, heads, tokens, d = q.shape
    piece = min(max(IN_CACHE // (heads * tokens * tokens), 1), windows)
    if len(bias) == 1:
        bias = bias.expand(piece, -1, -1, -1).contiguous()
    out = q.new_empty(windows, tokens, heads, d)
    for start in range(
        0, windows, max(len(bias), 1)
    ):  # an image, or a piece of windows with one bias
        for first in range(0, min(len(bias), windows - start), piece):
            added = bias[first : first + piece][: windows - start - first]
            part = slice(start + first, start + first + len(added))
            qp, kp, vp = (t[part].reshape(-1, tokens, d) for t in (q, k, v))
            weights = torch.baddbmm(
                added.flatten(0, 1), qp, kp.transpose(1, 2), alpha=d**-0.5
            ).softmax(-1)
            out[part] = (weights @ vp).unflatten(0, (-1, heads)).transpose(1, 2)
    return out.transpose(1, 2)
