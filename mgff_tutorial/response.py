"""From the attention of a frozen ViT to one number a token, and from there to a response map.

The MGFF paper (section 3.4, "ViT-based cropping") sums the attention matrices of all layers, reads
a token's importance off them, arranges the numbers on the grid of patches and enlarges the grid to
the image. Its softmax runs over columns (features are columns there), so its row sums are the
attention that tokens RECEIVE; with rows that sum to 1, as here, that is the column sum. `RULES`
holds that reading (``literal``) beside others.

The model is any timm ViT, untouched: while it runs, its calls of ``scaled_dot_product_attention``
are counted, one per block, and the queries, keys and values of the blocks that a rule asks for are
noted. No block loses its fused attention, and threads that share a ViT do not see each other.
"""

from collections.abc import Callable
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch.overrides import TorchFunctionMode

from .support.birds import BIRD
from .support.directions import Direction, check_made_for
from .support.edges import follow_edges
from .support.errors import InputError, check_name
from .support.shapes import check_tensor, to_pair


class LayerAttention:
    """Queries, keys and values of one layer, or its finished matrix; rows of the softmax are
    computed when asked for.
    """

    def __init__(self, query=None, key=None, value=None, scale=None, bias=None, weights=None):
        self.query, self.key, self.value = query, key, value  # (B, heads, N, d) each
        self.scale, self.bias, self.weights = scale, bias, weights

    def matrix(self, queries=slice(None)):
        """Softmax rows of the chosen queries: (B, heads, len(queries), N), float32, each row sums
        to 1.
        """
        if self.weights is not None:
            return self.weights[:, :, queries].float()
        query, key = self.query[:, :, queries].float(), self.key.float()
        scores = query @ key.transpose(-2, -1) * self.scale
        if self.bias is not None:
            scores = (
                scores
                + (self.bias[..., queries, :] if self.bias.shape[-2] > 1 else self.bias).float()
            )
        return scores.softmax(dim=-1)


class _AttentionWatch(TorchFunctionMode):
    """Counts the softmaxes of attention that this thread computes, and notes what goes into (or
    comes out of) those with a number in ``chosen``; changes nothing, neither here nor in others.
    """

    def __init__(self, chosen):
        super().__init__()
        self.chosen, self.calls, self.layers = chosen, 0, []

    def __torch_function__(self, func, types, args=(), kwargs=None):
        kwargs = kwargs or {}
        out = func(*args, **kwargs)
        fused = func is F.scaled_dot_product_attention
        if fused or func in (F.softmax, torch.softmax, torch.Tensor.softmax) and out.dim() == 4:
            if self.calls in self.chosen:
                watched = (
                    _from_fused_call(*args, **kwargs) if fused else LayerAttention(weights=out)
                )
                self.layers.append(watched)
            self.calls += 1
        return out


def _from_fused_call(
    query, key, value, attn_mask=None, dropout_p=0.0, is_causal=False, scale=None, **kwargs
):
    if is_causal:
        raise InputError(
            "vit: its attention is causal; a response map needs a ViT that attends in both "
            "directions."
        )
    if key.shape[1] != query.shape[1]:  # grouped-query attention: one key serves several heads
        key = key.repeat_interleave(query.shape[1] // key.shape[1], dim=1)
    if attn_mask is not None and attn_mask.dtype == torch.bool:
        attn_mask = torch.zeros_like(attn_mask, dtype=torch.float32).masked_fill(
            ~attn_mask, float("-inf")
        )
    return LayerAttention(
        query, key, value, query.shape[-1] ** -0.5 if scale is None else scale, attn_mask
    )


@dataclass
class ViTRecord:
    """What one forward pass leaves behind.

    Attributes:
        layers: `LayerAttention` of the watched blocks, first to last.
        tokens: (B, N, C) output of the ViT's last block after its final norm, prefix tokens
            included.
        prefix: number of tokens before the patches (class token, registers).
        grid: (rows, columns) of patches.
        has_class_token: whether token 0 is a class token.
        image: (B, 3, H, W) what the ViT saw.
    """

    layers: list
    tokens: torch.Tensor
    prefix: int
    grid: tuple
    has_class_token: bool
    image: torch.Tensor | None = None


def check_vit(vit):
    """Raise `InputError` unless ``vit`` looks like a timm ViT: ``patch_embed`` and ``blocks`` with
    ``attn``.
    """
    blocks = getattr(vit, "blocks", None)
    if (
        getattr(vit, "patch_embed", None) is None
        or not blocks
        or not all(hasattr(b, "attn") for b in blocks)
    ):
        raise InputError(
            f"vit: {type(vit).__name__} has no patch_embed and blocks with attention; "
            f"accepted: a timm "
            "vision transformer such as vit_base_patch16_224 or vit_small_patch14_dinov2."
        )
    return vit


def grid_of(vit, height, width):
    """(rows, columns) of patches of a ``height`` x ``width`` image."""
    embed = vit.patch_embed
    if hasattr(embed, "dynamic_feat_size"):
        return tuple(embed.dynamic_feat_size((height, width)))
    rows, columns = (
        (embed.patch_size,) * 2 if isinstance(embed.patch_size, int) else embed.patch_size
    )
    return height // rows, width // columns


def record_attention(vit, x, last=None):
    """One forward pass of ``vit`` on ``x``, keeping the attention of its last ``last`` blocks
    (None: of all).

    Args:
        vit: a timm ViT; used as it is (put it into eval mode yourself, or use `ViTCropper`, which
            does).
        x: (B, 3, H, W) images, normalised for ``vit``, of a size that it accepts.
        last: how many blocks to keep, counted from the end; None, or more than there are: all.

    Raises:
        InputError: ``vit`` is no ViT, ``x`` is no such batch, or its size is not accepted by
            ``vit``.
    """
    # a compiled model can't be watched; the one inside can
    vit = check_vit(getattr(vit, "_orig_mod", vit))
    check_tensor("x: images", x, ("B", 3, "H", "W"), next(vit.parameters()).dtype)
    depth = len(vit.blocks)
    chosen = range(max(depth - (last or depth), 0), depth)
    watch = _AttentionWatch(chosen)
    try:
        with watch:
            tokens = vit.forward_features(x)
    except (AssertionError, RuntimeError) as error:
        if isinstance(error, RuntimeError) and "size" not in str(error):
            raise
        reason = str(error).splitlines()[0].rstrip(".") if str(error) else type(error).__name__
        raise InputError(
            f"x: the ViT does not accept images of shape {tuple(x.shape[1:])}: {reason}."
        ) from error
    grid, prefix = grid_of(vit, *x.shape[-2:]), getattr(vit, "num_prefix_tokens", 0)
    if watch.calls != depth:
        raise InputError(
            f"vit: its {depth} blocks compute attention in {watch.calls} calls of softmax or "
            "scaled_dot_product_attention; accepted: ViTs with one a block."
        )
    if tokens.dim() != 3 or tokens.shape[1] != prefix + grid[0] * grid[1]:
        raise InputError(
            f"vit: expected {prefix} + {grid[0]} x {grid[1]} tokens, got shape "
            f"{tuple(tokens.shape)}; "
            "accepted: ViTs that keep all tokens (no patch dropout, eval mode)."
        )
    return ViTRecord(
        watch.layers,
        tokens,
        prefix,
        grid,
        has_class_token=getattr(vit, "cls_token", None) is not None,
        image=x,
    )


# ---- rules: a ViTRecord goes in, one number a patch token comes out, (B, rows * columns) ----


def received(record):
    """Attention that each patch receives from all patches, heads averaged, layers summed (the
    literal rule).

    W_j = sum over layers and queries i of A[i, j]; class token and registers dropped as queries and
    as keys. Uniform attention gives a flat map. (MGFF paper, section 3.4, whose matrices are
    the transpose of these.)
    """
    patches = slice(record.prefix, None)
    return sum(
        layer.matrix(patches)[..., patches].mean(dim=1).sum(dim=1) for layer in record.layers
    )


def class_row(record):
    """Attention that the class token pays to each patch, averaged over heads and layers.

    A ViT without class token (SigLIP, average-pooled ViTs) has no such row; there all patches ask,
    on average.
    """
    queries = slice(0, 1) if record.has_class_token else slice(record.prefix, None)
    rows = [layer.matrix(queries)[..., record.prefix :].mean(dim=(1, 2)) for layer in record.layers]
    return torch.stack(rows).mean(dim=0)


def rollout(record):
    """Attention rollout (Abnar and Zuidema, 2020): product over layers of (A + I) / 2, then the
    class-token row.
    """
    mixed = None
    for layer in record.layers:
        attention = layer.matrix().mean(dim=1)
        attention = (attention + torch.eye(attention.shape[-1], device=attention.device)) / 2
        mixed = attention if mixed is None else attention @ mixed
    queries = slice(0, 1) if record.has_class_token else slice(record.prefix, None)
    return mixed[:, queries, record.prefix :].mean(dim=1)


def clip_outliers(weights, quantile=0.95):
    """Cut (B, N) weights off at each image's own ``quantile``: a few tokens draw attention that
    means nothing.
    """
    if not len(weights):  # torch knows no quantile of nothing
        return weights
    return torch.minimum(weights, weights.quantile(quantile, dim=1, keepdim=True))


def class_row_clipped(record):
    """`class_row` with outliers cut off at the 95th percentile."""
    return clip_outliers(class_row(record))


def affinity(record, kinds=("query",)):
    """How much two patches belong together, (B, N, N): the mean cosine over ``kinds``, squared (0
    where negative).

    ``"query"``: they ask alike; ``"value"``: they tell alike. Both are the last layer's, all heads
    joined. A ViT whose attention shows neither is compared by its final tokens.
    """
    layer, patches = record.layers[-1], slice(record.prefix, None)
    if layer.query is None:
        features = [record.tokens[:, patches]]
    else:
        features = [getattr(layer, kind).transpose(1, 2).flatten(2)[:, patches] for kind in kinds]
    directions = [F.normalize(feature.float(), dim=-1) for feature in features]
    cosine = sum(d @ d.transpose(1, 2) for d in directions) / len(directions)
    return cosine.clamp(min=1e-3) ** 2


def spectral_cut(affinity, start, doublings=4):
    """Where the normalised cut of the patch graph separates the side that ``start`` prefers: (B,
    N), 0 to 1.

    The cut's indicator is the second eigenvector of D^-1/2 A D^-1/2 (Shi and Malik, 2000). The
    first, D^1/2, is known and taken out; squaring what is left ``doublings`` times makes every
    other eigenvector fade. Applied to
    ``start`` this also settles the sign. Matrix products only: no eigensolver, no loop over images.

    Args:
        affinity: (B, N, N), symmetric, positive.
        start: (B, N), higher where the object is likelier.
    """
    root = affinity.sum(dim=-1).sqrt()
    walk = affinity / (root[:, :, None] * root[:, None])
    first = F.normalize(root, dim=1)
    walk = walk - first[:, :, None] * first[:, None]
    for _ in range(doublings):
        walk = walk @ walk
        walk = walk / walk.flatten(1).norm(dim=1).clamp(min=1e-12)[:, None, None]
    cut = (walk @ (start * root)[:, :, None])[..., 0] / root
    low, high = cut.amin(dim=1, keepdim=True), cut.amax(dim=1, keepdim=True)
    flat = high - low < 1e-6 * start.abs().mean(dim=1, keepdim=True)  # nothing to separate
    return torch.where(flat, torch.ones_like(cut), (cut - low) / (high - low).clamp(min=1e-30))


def spectral(record):
    """The object as the ViT's own patches see it: `spectral_cut` of `affinity`, started at
    `class_row_clipped`.

    TokenCut (Wang et al., 2022) cuts a graph of keys with an eigensolver; queries separate better
    here.
    """
    return spectral_cut(affinity(record), class_row_clipped(record))


def attended_object(record):
    """`spectral` times `class_row_clipped`: what belongs together, and is looked at. The default.

    Alone, the cut takes the perch along with the bird, and the class token looks at parts of the
    bird.
    """
    seen = class_row_clipped(record)
    return spectral_cut(affinity(record), seen) * seen


def attended_object_values(record):
    """The same with patches that ask alike and tell alike: queries and values.

    For large self-supervised ViTs no better than queries alone; for `vit_nano` much better.
    """
    seen = class_row_clipped(record)
    return spectral_cut(affinity(record, ("query", "value")), seen) * seen


def attended_bird(record):
    """`attended_object` where the tokens are those of a bird: `support.birds` knows which are.

    Attention and grouping can't tell a bird from the rock that it sits on; annotated boxes can.
    """
    return attended_object(record) * BIRD.likeness(record)


@dataclass(frozen=True)
class Rule:
    """A rule for the response map: which layers to watch, what to read off them, where to cut the
    map.

    Attributes:
        weigh: function of a `ViTRecord` that returns (B, rows * columns) weights, higher on the
            object.
        last: number of blocks to watch, counted from the end (None: all).
        tau: default threshold of the cropper: a number times the mean, or "otsu".
        edges: whether the enlarged map takes the edges of the image (`support.edges`).
        fitted: the `Direction` that it reads, which belongs to one ViT.
    """

    weigh: Callable
    last: int | None = None
    tau: float | str = "otsu"
    edges: bool = False
    fitted: Direction | None = None


RULES = {
    "literal": Rule(received, None, 1.0),
    "received_last": Rule(received, 1, 1.0),
    "class_token": Rule(class_row, 1, 1.0),
    "class_token_clipped": Rule(class_row_clipped, 4),
    "rollout": Rule(rollout, None, 1.0),
    "spectral": Rule(spectral, 4, 1.0),
    "attended_object": Rule(attended_object, 4, 1.0),
    "attended_object_edges": Rule(attended_object, 4, 0.9, edges=True),
    "attended_object_values": Rule(attended_object_values, 4, 1.0),
}
FITTED_RULES = {"attended_bird": Rule(attended_bird, 4, 0.8, edges=True, fitted=BIRD)}
DEFAULT_RULE = "attended_object"


def rule_of(vit):
    """Name of the rule for a ViT: its attribute ``response_rule``, where it has one, else the
    default.

    Which of its signals tells an object apart depends on how a ViT was trained, as do its mean and
    its input size.
    """
    return getattr(vit, "response_rule", DEFAULT_RULE)


def get_rule(rule, vit=None):
    """The `Rule` of that name; a `Rule` passes through, a function of a `ViTRecord` is wrapped (all
    layers). A fitted rule is refused for a ``vit`` that it was not fitted to.
    """
    if isinstance(rule, str) and rule in FITTED_RULES:
        rule = FITTED_RULES[rule]
    if isinstance(rule, Rule):
        check_made_for(rule.fitted, vit)
        return rule
    if callable(rule):
        return Rule(rule)
    return RULES[check_name("rule", rule, RULES)]


def weigh(vit, x, rule):
    """(One number per patch, (B, rows, columns) float32; the `ViTRecord`). ``rule``: a `Rule`."""
    record = record_attention(vit, x, rule.last)
    weights = rule.weigh(record)
    patches, got = record.grid[0] * record.grid[1], getattr(weights, "shape", None)
    if not isinstance(weights, torch.Tensor) or weights.numel() != len(x) * patches:
        got = type(weights).__name__ if got is None else tuple(got)
        raise InputError(
            f"rule: it must give one number per patch, ({len(x)}, {patches}), got {got}."
        )
    return weights.float().reshape(len(x), *record.grid), record


def token_weights(vit, x, rule=None):
    """One number per patch: (B, rows, columns) float32. Arguments as for `response_map`."""
    return weigh(vit, x, get_rule(rule_of(vit) if rule is None else rule, vit))[0]


def enlarge(weights, size, image=None):
    """(B, rows, columns) weights to a (B, 1, H, W) map by bilinear interpolation (MGFF paper,
    section 3.4); of an ``image``, (B, 3, h, w), it takes the edges first (`support.edges`).
    """
    weights = weights if image is None else follow_edges(weights, image)
    return F.interpolate(
        weights[:, None], size=to_pair(size, "size"), mode="bilinear", align_corners=False
    )


def response_map(vit, x, rule=None):
    """Response map of a batch: (B, 1, H, W) float32, higher where the rule sees the object.

    Args:
        vit: a timm ViT in eval mode.
        x: (B, 3, H, W) images normalised for ``vit``, of a size that it accepts.
        rule: a name in `RULES` or `FITTED_RULES`, a `Rule`, or a function of a `ViTRecord`; None:
            `rule_of` the ViT.

    Raises:
        InputError: unknown rule, no ViT, or a size that the ViT refuses.
    """
    rule = get_rule(rule_of(vit) if rule is None else rule, vit)
    weights, record = weigh(vit, x, rule)
    return enlarge(weights, x.shape[-2:], record.image if rule.edges else None)
