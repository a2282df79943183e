"""Swin Transformer from scratch: block, stage, four stages, and the builders of its published variants.

State-dict names are timm's, so timm's pretrained weights load as they are. One layout from end to end:
(B, H, W, C); only `SwinTransformer.feature_maps` hands out (B, C, H, W).
Source: Liu et al., "Swin Transformer: Hierarchical Vision Transformer using Shifted Windows", ICCV 2021.
"""

import torch
from torch import nn
from torch.utils.checkpoint import checkpoint

from .errors import InputError
from .linear import Linear
from .patches import PatchEmbed, PatchMerging, check_images, pad_to_multiple, to_pair
from .windows import WindowAttention, relative_position_index, resize_bias_table, shift_mask, window_partition, \
    window_reverse


class StochasticDepth(nn.Module):
    """Drop the whole branch of a residual block for some samples of a training batch (Huang et al., 2016).

    Args:
        rate: probability of dropping; kept branches are scaled by 1 / (1 - rate).
    """

    def __init__(self, rate):
        super().__init__()
        self.rate = rate

    def forward(self, x):
        if not self.training or self.rate == 0.0:
            return x
        kept = x.new_empty((x.shape[0],) + (1,) * (x.ndim - 1)).bernoulli_(1 - self.rate)
        return x * (kept / (1 - self.rate))


class Mlp(nn.Module):
    """Two linear layers with GELU between them: (..., C) -> (..., C), hidden width ``hidden``."""

    def __init__(self, dim, hidden, drop=0.0):
        super().__init__()
        self.fc1 = Linear(dim, hidden)
        self.fc2 = Linear(hidden, dim)
        self.drop = nn.Dropout(drop)

    def forward(self, x):
        return self.drop(self.fc2(self.drop(self.fc1(x, gelu=True))))


class SwinBlock(nn.Module):
    """x + attention(norm(x)), then x + mlp(norm(x)), on a map (B, H, W, C) (Swin paper, equation 3).

    The attention stays inside windows. Every second block shifts the map by half a window first, so that
    neighbours which a window border kept apart can exchange what they know.

    Args:
        dim: channels. num_heads: heads.
        grid: (H, W) of the map the block is built for; other sizes work, and are padded to whole windows.
        window: (Wh, Ww) wanted; a grid that is smaller than the window becomes one window along that side.
        shifted: whether this is a block with shifted windows (SW-MSA).
        pad_first: what comes first on a map that is no multiple of the window. False is timm's order (shift, then
            pad), needed for equal numbers; True is the original authors' (pad, then shift), where the mask
            also keeps the wrapped rows of a padded map apart. Without padding both are the same.
    """

    def __init__(self, dim, num_heads, grid, window, shifted, mlp_ratio=4.0, qkv_bias=True, proj_drop=0.0,
                 attn_drop=0.0, drop_path=0.0, pad_first=False):
        super().__init__()
        self.shifted, self.pad_first = shifted, pad_first
        self._fit_window(grid, window)
        self.norm1 = nn.LayerNorm(dim)
        self.attn = WindowAttention(dim, num_heads, self.window, qkv_bias, attn_drop, proj_drop)
        self.norm2 = nn.LayerNorm(dim)
        self.mlp = Mlp(dim, int(dim * mlp_ratio), proj_drop)
        self.drop_path = StochasticDepth(drop_path)
        self.register_buffer("attn_mask", self._mask(grid, self.norm1.weight.device), persistent=False)

    def _fit_window(self, grid, window):
        self.window = tuple(min(g, w) for g, w in zip(grid, window))
        self.shift = tuple(w // 2 if self.shifted and g > w else 0 for g, w in zip(grid, window))
        self.mask_grid = self._padded(grid)

    def _padded(self, grid):
        return tuple(-(-g // w) * w for g, w in zip(grid, self.window))

    def _mask(self, grid, device):
        return shift_mask(*self._padded(grid), self.window, self.shift, device) if any(self.shift) else None

    def set_input_size(self, grid, window):
        """Rebuild for another grid or window: the bias table is interpolated, the mask computed anew."""
        old, attn = self.window, self.attn
        self._fit_window(grid, window)
        table = attn.relative_position_bias_table
        if self.window != old:
            attn.window = self.window
            attn.relative_position_bias_table = nn.Parameter(resize_bias_table(table, old, self.window),
                                                             requires_grad=table.requires_grad)
        self.init_non_persistent_buffers()

    def init_non_persistent_buffers(self):
        """Compute mask and index again, as after ``to_empty`` or a change of size."""
        device = self.norm1.weight.device
        self.attn.relative_position_index = relative_position_index(self.window, device)
        self.attn_mask = self._mask(self.mask_grid, device)

    def attention(self, x):
        """(Shifted) window attention on a normalised map (B, H, W, C) of any size."""
        _, height, width, _ = x.shape
        (sh, sw), shifted = self.shift, any(self.shift)
        if self.pad_first:
            x = pad_to_multiple(x, self.window)
        if shifted:
            x = torch.roll(x, (-sh, -sw), dims=(1, 2))
        inner = x.shape[1:3]
        x = pad_to_multiple(x, self.window)
        padded = tuple(x.shape[1:3])
        if shifted and padded != self.mask_grid:                    # another size than the last: a new mask
            self.attn_mask, self.mask_grid = self._mask(padded, x.device), padded
        windows = self.attn(window_partition(x, self.window), self.attn_mask)
        x = window_reverse(windows, self.window, *padded)[:, :inner[0], :inner[1]]
        if shifted:
            x = torch.roll(x, (sh, sw), dims=(1, 2))
        return x[:, :height, :width]

    def forward(self, x):
        x = x + self.drop_path(self.attention(self.norm1(x)))
        return x + self.drop_path(self.mlp(self.norm2(x)))


class SwinStage(nn.Module):
    """Patch merging (except in the first stage), then blocks, plain and shifted in turn.

    Args:
        dim: channels inside the stage. depth: number of blocks. downsample: whether merging comes first.
        grid: (H, W) inside the stage, after the merging. drop_path: one rate for each block.
        Others as in `SwinBlock`.
    """

    def __init__(self, dim, depth, num_heads, grid, window, downsample, drop_path, **options):
        super().__init__()
        self.grad_checkpointing = False
        self.downsample = PatchMerging(dim // 2) if downsample else nn.Identity()
        self.blocks = nn.Sequential(*[
            SwinBlock(dim, num_heads, grid, window, shifted=i % 2 == 1, drop_path=drop_path[i], **options)
            for i in range(depth)])

    def run_blocks(self, x):
        """The blocks alone, (B, H, W, C) -> the same; recomputed in the backward pass under checkpointing."""
        for block in self.blocks:
            if self.grad_checkpointing and torch.is_grad_enabled():
                x = checkpoint(block, x, use_reentrant=False)
            else:
                x = block(x)
        return x

    def forward(self, x):
        return self.run_blocks(self.downsample(x))


class ClassifierHead(nn.Module):
    """Mean over positions, dropout, linear layer: (B, H, W, C) -> (B, num_classes); 0 classes: the mean itself."""

    def __init__(self, dim, num_classes, global_pool="avg", drop_rate=0.0):
        super().__init__()
        self.global_pool = global_pool
        self.drop = nn.Dropout(drop_rate)
        self.fc = nn.Linear(dim, num_classes) if num_classes > 0 else nn.Identity()

    def forward(self, x, pre_logits=False):
        if self.global_pool:
            x = x.mean((1, 2))
        x = self.drop(x)
        return x if pre_logits else self.fc(x)


class SwinTransformer(nn.Module):
    """Swin Transformer: images (B, 3, H, W) -> logits (B, num_classes).

    Images of any size from 1 x 1 are accepted; ``img_size`` is the size for which windows are fitted to the grid
    and masks are prepared.

    Args:
        img_size, patch_size: pixels, or (height, width). in_chans: channels of the image.
        num_classes: 0 gives pooled features. global_pool: "avg", or "" for the map without pooling.
        embed_dim: channels of stage 1; each later stage doubles them.
        depths, num_heads: blocks and heads of each stage. window_size: tokens, or (height, width).
        drop_rate, proj_drop_rate, attn_drop_rate: dropout before the head, after projections, on attention.
        drop_path_rate: stochastic depth of the last block, rising linearly from 0 at the first.
        pad_first: see `SwinBlock`.

    Raises:
        InputError: options that do not fit together; in ``forward``, images of a wrong rank, channels or dtype.
    """

    def __init__(self, img_size=224, patch_size=4, in_chans=3, num_classes=1000, global_pool="avg", embed_dim=96,
                 depths=(2, 2, 6, 2), num_heads=(3, 6, 12, 24), window_size=7, mlp_ratio=4.0, qkv_bias=True,
                 drop_rate=0.0, proj_drop_rate=0.0, attn_drop_rate=0.0, drop_path_rate=0.1, pad_first=False):
        super().__init__()
        check_options(in_chans, num_classes, global_pool, embed_dim, depths, num_heads, drop_path_rate)
        self.img_size, self.window_size = to_pair(img_size, "img_size"), to_pair(window_size, "window_size")
        self.in_chans, self.num_classes, self.global_pool = in_chans, num_classes, global_pool
        self.patch_embed = PatchEmbed(patch_size, in_chans, embed_dim)
        rates = torch.linspace(0, drop_path_rate, sum(depths), device="cpu").split(list(depths))
        stages, self.feature_info = [], []
        for i, grid in enumerate(self._grids(len(depths))):
            dim = embed_dim * 2**i
            stages.append(SwinStage(dim, depths[i], num_heads[i], grid, self.window_size, downsample=i > 0,
                                    drop_path=rates[i].tolist(), mlp_ratio=mlp_ratio, qkv_bias=qkv_bias,
                                    proj_drop=proj_drop_rate, attn_drop=attn_drop_rate, pad_first=pad_first))
            reduction = max(self.patch_embed.patch_size) * 2**i
            self.feature_info.append({"num_chs": dim, "reduction": reduction, "module": f"layers.{i}"})
        self.layers = nn.Sequential(*stages)
        self.num_features = self.head_hidden_size = embed_dim * 2 ** (len(depths) - 1)
        self.norm = nn.LayerNorm(self.num_features)
        self.head = ClassifierHead(self.num_features, num_classes, global_pool, drop_rate)
        self.apply(init_weights)
        self.pretrained_cfg = self.default_cfg = model_cfg(self.img_size, num_classes, in_chans)

    def _grids(self, stages):
        """(H, W) of the tokens inside each stage for ``img_size``."""
        grid = tuple(-(-side // p) for side, p in zip(self.img_size, self.patch_embed.patch_size))
        grids = []
        for _ in range(stages):
            grids.append(grid)
            grid = tuple(-(-g // 2) for g in grid)
        return grids

    def tokens(self, x):
        """Images (B, 3, H, W) -> tokens (B, H/4, W/4, C), after a check of the input."""
        autocast = isinstance(x, torch.Tensor) and x.device.type != "meta" and torch.is_autocast_enabled(x.device.type)
        check_images(x, self.in_chans, None if autocast else self.patch_embed.proj.weight.dtype)
        return self.patch_embed(x)

    def forward_features(self, x):
        """Images (B, 3, H, W) -> the last map after the final norm, (B, H/32, W/32, C)."""
        return self.norm(self.layers(self.tokens(x)))

    def forward_head(self, x, pre_logits=False):
        """The last map (B, h, w, C) -> logits (B, num_classes), or (B, C) with ``pre_logits``."""
        return self.head(x, pre_logits=pre_logits)

    def forward(self, x):
        """Images (B, 3, H, W) -> logits (B, num_classes)."""
        return self.forward_head(self.forward_features(x))

    def feature_maps(self, x):
        """Images (B, 3, H, W) -> four maps (B, C, H, W) of rising granularity.

        The maps after the patch merging that ends stages 1, 2 and 3, and the final stage after the final norm.
        For Swin-B at 384: 256 x 48 x 48, 512 x 24 x 24, 1024 x 12 x 12, 1024 x 12 x 12 (MGFF paper, section 3.1).
        """
        x = self.layers[0](self.tokens(x))
        maps = []
        for stage in self.layers[1:]:
            x = stage.downsample(x)
            maps.append(x)
            x = stage.run_blocks(x)
        return [m.permute(0, 3, 1, 2) for m in [*maps, self.norm(x)]]

    def get_classifier(self):
        """The linear layer that gives the logits."""
        return self.head.fc

    def reset_classifier(self, num_classes, global_pool=None):
        """A new, randomly initialised classifier for ``num_classes`` (0: none)."""
        if global_pool is not None:
            self.global_pool = self.head.global_pool = global_pool
        self.num_classes = num_classes
        weight = self.norm.weight
        head = nn.Linear(self.num_features, num_classes) if num_classes > 0 else nn.Identity()
        self.head.fc = head.apply(init_weights).to(weight.device, weight.dtype).train(self.training)

    def set_grad_checkpointing(self, enable=True):
        """Keep only each block's input for the backward pass, and compute the rest again: less memory, more time."""
        for stage in self.layers:
            stage.grad_checkpointing = enable

    def set_input_size(self, img_size=None, window_size=None):
        """Fit windows and masks to another image or window size; bias tables are interpolated.

        Without ``window_size`` the window grows with the image, as in timm: 7 at 224 becomes 12 at 384.
        """
        old = self.img_size
        self.img_size = old if img_size is None else to_pair(img_size, "img_size")
        if window_size is None:
            sizes = zip(self.window_size, self.img_size, old)
            self.window_size = tuple(max(1, w * new // before) for w, new, before in sizes)
        else:
            self.window_size = to_pair(window_size, "window_size")
        for stage, grid in zip(self.layers, self._grids(len(self.layers))):
            for block in stage.blocks:
                block.set_input_size(grid, self.window_size)
        self.pretrained_cfg = self.default_cfg = {**self.pretrained_cfg, "input_size": (self.in_chans, *self.img_size)}

    def no_weight_decay(self):
        """Names of parameters that weight decay should leave alone: the bias tables."""
        return {name for name, _ in self.named_parameters() if "relative_position_bias_table" in name}

    def group_matcher(self, coarse=False):
        """Patterns by which timm groups parameters, as for layer-wise learning rates."""
        blocks = r"^layers\.(\d+)" if coarse else [
            (r"^layers\.(\d+).downsample", (0,)), (r"^layers\.(\d+)\.\w+\.(\d+)", None), (r"^norm", (99999,))]
        return {"stem": r"^patch_embed", "blocks": blocks}


def init_weights(module):
    """Linear layers: truncated normal of deviation 0.02 and zero bias (Swin's published initialisation)."""
    if isinstance(module, nn.Linear):
        nn.init.trunc_normal_(module.weight, std=0.02)
        if module.bias is not None:
            nn.init.zeros_(module.bias)


def check_options(in_chans, num_classes, global_pool, embed_dim, depths, num_heads, drop_path_rate):
    """Fail in one sentence if the options of a `SwinTransformer` do not fit together."""
    if len(depths) != len(num_heads) or not len(depths):
        raise InputError(f"depths and num_heads must name the same stages, got {tuple(depths)} and {tuple(num_heads)}.")
    for i, heads in enumerate(num_heads):
        if embed_dim * 2**i % heads:
            raise InputError(f"num_heads of stage {i + 1} must divide its {embed_dim * 2**i} channels, got {heads}.")
    if not isinstance(num_classes, int) or num_classes < 0:
        raise InputError(f"num_classes must be an integer of 0 or more, got {num_classes!r}.")
    if not isinstance(in_chans, int) or in_chans < 1:
        raise InputError(f"in_chans must be a positive integer, got {in_chans!r}.")
    if global_pool not in ("avg", ""):
        raise InputError(f"global_pool must be 'avg' or '', got {global_pool!r}.")
    if not 0 <= drop_path_rate < 1:
        raise InputError(f"drop_path_rate must be at least 0 and below 1, got {drop_path_rate!r}.")


def model_cfg(img_size, num_classes, in_chans=3, mean=(0.485, 0.456, 0.406), std=(0.229, 0.224, 0.225)):
    """What timm's tools ask of a model: how its inputs are made, and where first and last layer are."""
    return {"input_size": (in_chans, *img_size), "num_classes": num_classes, "mean": mean, "std": std,
            "interpolation": "bicubic", "crop_pct": 0.9 if img_size[0] < 384 else 1.0, "fixed_input_size": False,
            "pool_size": tuple(-(-s // 32) for s in img_size), "first_conv": "patch_embed.proj",
            "classifier": "head.fc"}


def build(name, pretrained, mean_std=None, **options):
    """A `SwinTransformer` with its name, configuration and, if asked for, weights (see `swin_weights`)."""
    model = SwinTransformer(**options)
    if mean_std is not None:
        model.pretrained_cfg.update(mean=mean_std[0], std=mean_std[1])
    model.pretrained_cfg["architecture"] = name
    if pretrained:
        from .swin_weights import load_pretrained

        load_pretrained(model, name, pretrained)
    return model


TINY = dict(embed_dim=96, depths=(2, 2, 6, 2), num_heads=(3, 6, 12, 24))
SMALL = dict(embed_dim=96, depths=(2, 2, 18, 2), num_heads=(3, 6, 12, 24))
BASE = dict(embed_dim=128, depths=(2, 2, 18, 2), num_heads=(4, 8, 16, 32))
LARGE = dict(embed_dim=192, depths=(2, 2, 18, 2), num_heads=(6, 12, 24, 48))


def _builder(name, size, window, image, classes, text):
    def builder(num_classes=classes, pretrained=False, **options):
        return build(name, pretrained, **{"img_size": image, "window_size": window, "num_classes": num_classes,
                                          **size, **options})

    builder.__name__ = builder.__qualname__ = name
    builder.__doc__ = (f"{text}, {image} x {image} pixels, window {window}, {classes} classes.\n\n"
                       "    ``pretrained``: True fetches timm's weights, a path loads that file (timm's or the original\n"
                       "    authors' names). Other arguments go to `SwinTransformer`.\n    ")
    return builder


_SIZES = {
    "swin_tiny_patch4_window7_224": (TINY, 7, 224, 1000, "Swin-T trained on ImageNet-1k"),
    "swin_small_patch4_window7_224": (SMALL, 7, 224, 1000, "Swin-S trained on ImageNet-1k"),
    "swin_base_patch4_window7_224": (BASE, 7, 224, 1000, "Swin-B trained on ImageNet-1k"),
    "swin_base_patch4_window12_384": (BASE, 12, 384, 1000, "Swin-B trained on ImageNet-1k"),
    "swin_base_patch4_window7_224_in22k": (BASE, 7, 224, 21841, "Swin-B trained on ImageNet-22k"),
    "swin_base_patch4_window12_384_in22k": (BASE, 12, 384, 21841, "Swin-B trained on ImageNet-22k"),
    "swin_large_patch4_window7_224_in22k": (LARGE, 7, 224, 21841, "Swin-L trained on ImageNet-22k"),
    "swin_large_patch4_window12_384_in22k": (LARGE, 12, 384, 21841, "Swin-L trained on ImageNet-22k"),
}
globals().update({name: _builder(name, *settings) for name, settings in _SIZES.items()})


def swin_nano(num_classes=20, img_size=96, pretrained=False, **options):
    """The small Swin of this tutorial: patch 4, window 6, width 32; grids 24, 12, 6, 3 at 96 x 96 pixels.

    1.4 M parameters, which two CPU cores train in minutes. Inputs are normalised with mean 0.5 and deviation 0.5.
    """
    settings = dict(patch_size=4, window_size=6, embed_dim=32, depths=(1, 1, 2, 1), num_heads=(1, 2, 4, 8),
                    drop_path_rate=0.0)
    return build("swin_nano", pretrained, ((0.5,) * 3, (0.5,) * 3), num_classes=num_classes, img_size=img_size,
                 **{**settings, **options})


BUILDERS = {name: globals()[name] for name in [*_SIZES, "swin_nano"]}
