"""Swin Transformer from scratch: four stages, and the builders of its published variants.

State-dict names are timm's, so timm's pretrained weights load as they are. One layout from end to
end: (B, H, W, C); only `SwinTransformer.feature_maps` hands out (B, C, H, W). Models can be
compiled, exported, and traced by `torch.jit.trace` and `torch.fx`; scripting (TorchScript) is not
supported.
Source: Liu et al., "Swin Transformer: Hierarchical Vision Transformer using Shifted Windows",
ICCV 2021.
"""

import inspect
from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import nn
from torch.utils.checkpoint import checkpoint

from .options import check_swin, model_cfg
from .patches import PatchEmbed, PatchMerging
from .support.errors import InputError, check_choice, check_name, check_number
from .support.shapes import check_tensor, to_pair
from .windows import SwinBlock


class SwinStage(nn.Module):
    """Patch merging (except in the first stage), then blocks, plain and shifted in turn.

    Args:
        dim: channels inside the stage. depth: number of blocks. downsample: whether merging comes
            first.
        grid: (H, W) inside the stage, after the merging. drop_path: one rate for each block.
        Others as in `SwinBlock`.
    """

    def __init__(self, dim, depth, num_heads, grid, window, downsample, drop_path, **options):
        super().__init__()
        self.grad_checkpointing = False
        norm_layer = options.get("norm_layer", nn.LayerNorm)
        self.downsample = PatchMerging(dim // 2, norm_layer) if downsample else nn.Identity()
        blocks = [
            SwinBlock(dim, num_heads, grid, window, i % 2 == 1, drop_path=drop_path[i], **options)
            for i in range(depth)
        ]
        self.blocks = nn.Sequential(*blocks)

    def run_blocks(self, x):
        """The blocks alone, (B, H, W, C) -> the same; recomputed in the backward pass under
        checkpointing.
        """
        again = self.grad_checkpointing and torch.is_grad_enabled()
        for block in self.blocks:
            x = checkpoint(block, x, use_reentrant=False) if again else block(x)
        return x

    def forward(self, x):
        return self.run_blocks(self.downsample(x))


class ClassifierHead(nn.Module):
    """Mean over positions, dropout, linear layer: (B, H, W, C) -> (B, num_classes); 0 classes: the
    mean itself.
    """

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

    Images of any size from 1 x 1 are accepted; ``img_size`` is the size for which windows are
    fitted to the grid and masks are prepared.

    Args:
        img_size, patch_size: pixels, or (height, width). in_chans: channels of the image.
        num_classes: 0 gives pooled features. global_pool: "avg", or "" for the map without pooling.
        embed_dim: channels of stage 1; each later stage doubles them.
        depths, num_heads: blocks and heads of each stage. window_size: tokens, or (height, width).
        drop_rate, proj_drop_rate, attn_drop_rate: dropout before the head, after projections, on
            attention.
        drop_path_rate: stochastic depth of the last block, rising linearly from 0 at the first.
        pad_first: see `SwinBlock`.
        listing: follow to the last detail the widespread PyTorch listing that pads any image size
            (its names: notebook 04): windows keep their size on small maps and are shifted and
            masked there too, padding comes before the roll, the mask is -100, and ``drop_rate`` is
            on tokens, projections and MLPs instead of before the head. The one thing not followed:
            it pads a whole extra patch where only one side is no multiple of the patch.
        norm_layer: what normalises everywhere, built with the channels. patch_norm: whether the
            patch embedding is normalised. use_checkpoint: see `set_grad_checkpointing`.

    Raises:
        InputError: options that do not fit together; in ``forward``, images of a wrong rank,
            channels or dtype.
    """

    output_fmt = "NHWC"  # of `forward_features`, as timm's Swin declares it

    def __init__(
        self,
        img_size: int | tuple[int, int] = 224,
        patch_size: int = 4,
        in_chans: int = 3,
        num_classes: int = 1000,
        global_pool: str = "avg",
        embed_dim: int = 96,
        depths: Sequence[int] = (2, 2, 6, 2),
        num_heads: Sequence[int] = (3, 6, 12, 24),
        window_size: int | tuple[int, int] = 7,
        mlp_ratio: float = 4.0,
        qkv_bias: bool = True,
        drop_rate: float = 0.0,
        proj_drop_rate: float = 0.0,
        attn_drop_rate: float = 0.0,
        drop_path_rate: float = 0.1,
        pad_first: bool = False,
        listing: bool = False,
        norm_layer: Callable[[int], nn.Module] = nn.LayerNorm,
        patch_norm: bool = True,
        use_checkpoint: bool = False,
    ) -> None:
        super().__init__()
        check_swin(
            in_chans,
            num_classes,
            global_pool,
            embed_dim,
            depths,
            num_heads,
            mlp_ratio,
            drop_rate=drop_rate,
            proj_drop_rate=proj_drop_rate,
            attn_drop_rate=attn_drop_rate,
            drop_path_rate=drop_path_rate,
        )
        self.img_size = to_pair(img_size, "img_size")
        self.window_size = to_pair(window_size, "window_size")
        self.in_chans, self.num_classes, self.global_pool = in_chans, num_classes, global_pool
        self.patch_embed = PatchEmbed(
            patch_size, in_chans, embed_dim, norm_layer if patch_norm else None
        )
        self.pos_drop = nn.Dropout(drop_rate if listing else 0.0)
        rates = torch.linspace(0, drop_path_rate, sum(depths), device="cpu").split(list(depths))
        stages = [
            SwinStage(
                embed_dim * 2**i,
                depths[i],
                num_heads[i],
                grid,
                self.window_size,
                downsample=i > 0,
                drop_path=rates[i].tolist(),
                mlp_ratio=mlp_ratio,
                qkv_bias=qkv_bias,
                proj_drop=max(proj_drop_rate, drop_rate) if listing else proj_drop_rate,
                attn_drop=attn_drop_rate,
                pad_first=pad_first,
                listing=listing,
                norm_layer=norm_layer,
            )
            for i, grid in enumerate(self._grids(len(depths)))
        ]
        self.feature_info = [
            {
                "num_chs": embed_dim * 2**i,
                "reduction": max(self.patch_embed.patch_size) * 2**i,
                "module": f"layers.{i}",
            }
            for i in range(len(depths))
        ]
        self.layers = nn.Sequential(*stages)
        self.num_features = self.head_hidden_size = embed_dim * 2 ** (len(depths) - 1)
        self.norm = norm_layer(self.num_features)
        head_drop = 0.0 if listing else drop_rate
        self.head = ClassifierHead(self.num_features, num_classes, global_pool, head_drop)
        self.apply(init_weights)
        self.set_grad_checkpointing(use_checkpoint)
        self.pretrained_cfg = self.default_cfg = model_cfg(self.img_size, num_classes, in_chans)
        self._model_args = {}  # what timm's `save_for_hf` notes for building it again

    def _grids(self, stages):
        """(H, W) of the tokens inside each stage for ``img_size``."""
        sides = list(zip(self.img_size, self.patch_embed.patch_size))
        return [tuple(-(-side // (p * 2**i)) for side, p in sides) for i in range(stages)]

    def tokens(self, x: torch.Tensor) -> torch.Tensor:
        """The door: images (B, 3, H, W), checked -> tokens (B, H/4, W/4, C)."""
        check_tensor(
            "images", x, ("B", self.in_chans, "H", "W"), self.patch_embed.proj.weight.dtype
        )
        return self.pos_drop(self.patch_embed(x))

    def forward_features(self, x: torch.Tensor) -> torch.Tensor:
        """Images (B, 3, H, W) -> the last map after the final norm, (B, H/32, W/32, C)."""
        return self.norm(self.layers(self.tokens(x)))

    def forward_head(self, x: torch.Tensor, pre_logits: bool = False) -> torch.Tensor:
        """The last map (B, h, w, C) -> logits (B, num_classes), or (B, C) with ``pre_logits``."""
        return self.head(x, pre_logits=pre_logits)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Images (B, 3, H, W) -> logits (B, num_classes)."""
        return self.forward_head(self.forward_features(x))

    def feature_maps(self, x: torch.Tensor) -> list[torch.Tensor]:
        """Images (B, 3, H, W) -> four maps (B, C, H, W) of rising granularity.

        The maps after the patch merging that ends stages 1, 2 and 3, and the final stage after the
        final norm. For Swin-B at 384: 256 x 48 x 48, 512 x 24 x 24, 1024 x 12 x 12, 1024 x 12 x 12
        (MGFF paper, section 3.1). What timm's ``features_only`` gives is `forward_intermediates`.
        """
        x = self.layers[0](self.tokens(x))
        maps = []
        for stage in self.layers[1:]:
            x = stage.downsample(x)
            maps.append(x)
            x = stage.run_blocks(x)
        return [m.permute(0, 3, 1, 2) for m in [*maps, self.norm(x)]]

    def forward_intermediates(
        self,
        x: torch.Tensor,
        indices: int | Sequence[int] | None = None,
        norm: bool = False,
        stop_early: bool = False,
        output_fmt: str = "NCHW",
        intermediates_only: bool = False,
    ) -> Any:
        """timm's view: the map at the END of each stage, before the merging to the next; reductions
        4, 8, 16, 32.

        Args:
            indices: of stages; a number takes the last ones, None all.
            norm: whether the last map gets the final norm. stop_early: skip later stages.
            intermediates_only: return the list of maps alone, not (final features, maps).
        """
        check_choice("output_fmt", output_fmt, ("NCHW", "NHWC"))
        stages, maps, x = list(range(len(self.layers))), [], self.tokens(x)
        chosen = stages if indices is None else indices
        taken = stages[-chosen:] if isinstance(chosen, int) else [stages[i] for i in chosen]
        for i in stages[: max(taken) + 1] if stop_early else stages:
            x = self.layers[i](x)
            final = i == stages[-1]
            if i in taken:
                maps.append(self.norm(x) if norm and final else x)
        if output_fmt == "NCHW":
            maps = [m.permute(0, 3, 1, 2).contiguous() for m in maps]
        return maps if intermediates_only else (self.norm(x) if final else x, maps)

    def get_classifier(self) -> nn.Module:
        """The linear layer that gives the logits."""
        return self.head.fc

    def reset_classifier(self, num_classes: int, global_pool: str | None = None) -> None:
        """A new, randomly initialised classifier for ``num_classes`` (0: none)."""
        check_number("num_classes", num_classes, 0, whole=True)
        if global_pool is not None:
            check_choice("global_pool", global_pool, ("avg", ""))
            self.global_pool = self.head.global_pool = global_pool
        self.num_classes = num_classes
        weight = self.patch_embed.proj.weight
        head = nn.Linear(self.num_features, num_classes) if num_classes > 0 else nn.Identity()
        self.head.fc = head.apply(init_weights).to(weight.device, weight.dtype).train(self.training)

    def set_grad_checkpointing(self, enable: bool = True) -> None:
        """Keep only each block's input for the backward pass, and compute the rest again: less
        memory, more time.
        """
        for stage in self.layers:
            stage.grad_checkpointing = enable

    def set_input_size(
        self,
        img_size: int | tuple[int, int] | None = None,
        window_size: int | tuple[int, int] | None = None,
    ) -> None:
        """Fit windows and masks to another image or window size; bias tables are interpolated.

        Without ``window_size`` the window grows with the image, as in timm: 7 at 224 becomes 12 at
            384.
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
        sizes = {"input_size": (self.in_chans, *self.img_size), "pool_size": self._grids(4)[-1]}
        self.pretrained_cfg = self.default_cfg = {**self.pretrained_cfg, **sizes}
        self._model_args.update(img_size=self.img_size, window_size=self.window_size)

    def no_weight_decay(self) -> set[str]:
        """Names of parameters that weight decay should leave alone: the bias tables."""
        return {
            name for name, _ in self.named_parameters() if "relative_position_bias_table" in name
        }

    def group_matcher(self, coarse: bool = False) -> dict[str, Any]:
        """Patterns by which timm groups parameters, as for layer-wise learning rates."""
        blocks = [(r"^layers\.(\d+).downsample", (0,)), (r"^layers\.(\d+)\.\w+\.(\d+)", None)]
        blocks = r"^layers\.(\d+)" if coarse else [*blocks, (r"^norm", (99999,))]
        return {"stem": r"^patch_embed", "blocks": blocks}


def init_weights(module):
    """Linear layers: truncated normal of deviation 0.02 and zero bias (Swin's published
    initialisation).
    """
    if isinstance(module, nn.Linear):
        nn.init.trunc_normal_(module.weight, std=0.02)
        if module.bias is not None:
            nn.init.zeros_(module.bias)


TINY = dict(embed_dim=96, depths=(2, 2, 6, 2), num_heads=(3, 6, 12, 24))
SMALL = dict(embed_dim=96, depths=(2, 2, 18, 2), num_heads=(3, 6, 12, 24))
BASE = dict(embed_dim=128, depths=(2, 2, 18, 2), num_heads=(4, 8, 16, 32))
LARGE = dict(embed_dim=192, depths=(2, 2, 18, 2), num_heads=(6, 12, 24, 48))
NANO = dict(embed_dim=32, depths=(2, 2, 2, 1), num_heads=(1, 2, 4, 8), drop_path_rate=0.0)
AT_224 = dict(img_size=224, window_size=7)
AT_384 = dict(img_size=384, window_size=12)


def build(name, num_classes, options, *settings):
    """The untrained `SwinTransformer` of a builder; ``options`` of the caller win over settings."""
    if options.pop("pretrained", False):
        raise InputError(
            f"pretrained: {name}() builds an untrained model; use "
            f"create_model({name!r}, pretrained=...) for its weights."
        )
    names = inspect.signature(SwinTransformer).parameters
    for option in options:
        check_name(f"option of {name}", option, names)
    for setting in reversed(settings):
        options = {**setting, **options}
    model = SwinTransformer(num_classes=num_classes, **options)
    model.pretrained_cfg["architecture"] = name
    model._model_args = {"num_classes": num_classes, **options}
    return model


# The eight published variants. Other options go to `SwinTransformer`.


def swin_tiny_patch4_window7_224(num_classes: int = 1000, **options: Any) -> SwinTransformer:
    """Swin-T, 28 M parameters, ImageNet-1k at 224 x 224."""
    return build("swin_tiny_patch4_window7_224", num_classes, options, TINY, AT_224)


def swin_small_patch4_window7_224(num_classes: int = 1000, **options: Any) -> SwinTransformer:
    """Swin-S, 50 M parameters, ImageNet-1k at 224 x 224."""
    return build("swin_small_patch4_window7_224", num_classes, options, SMALL, AT_224)


def swin_base_patch4_window7_224(num_classes: int = 1000, **options: Any) -> SwinTransformer:
    """Swin-B, 88 M parameters, ImageNet-1k at 224 x 224."""
    return build("swin_base_patch4_window7_224", num_classes, options, BASE, AT_224)


def swin_base_patch4_window12_384(num_classes: int = 1000, **options: Any) -> SwinTransformer:
    """Swin-B, 88 M parameters, ImageNet-1k at 384 x 384: the backbone of the MGFF paper."""
    return build("swin_base_patch4_window12_384", num_classes, options, BASE, AT_384)


def swin_base_patch4_window7_224_in22k(num_classes: int = 21841, **options: Any) -> SwinTransformer:
    """Swin-B, 109 M parameters, ImageNet-22k at 224 x 224."""
    return build("swin_base_patch4_window7_224_in22k", num_classes, options, BASE, AT_224)


def swin_base_patch4_window12_384_in22k(
    num_classes: int = 21841, **options: Any
) -> SwinTransformer:
    """Swin-B, 109 M parameters, ImageNet-22k at 384 x 384."""
    return build("swin_base_patch4_window12_384_in22k", num_classes, options, BASE, AT_384)


def swin_large_patch4_window7_224_in22k(
    num_classes: int = 21841, **options: Any
) -> SwinTransformer:
    """Swin-L, 229 M parameters, ImageNet-22k at 224 x 224."""
    return build("swin_large_patch4_window7_224_in22k", num_classes, options, LARGE, AT_224)


def swin_large_patch4_window12_384_in22k(
    num_classes: int = 21841, **options: Any
) -> SwinTransformer:
    """Swin-L, 229 M parameters, ImageNet-22k at 384 x 384."""
    return build("swin_large_patch4_window12_384_in22k", num_classes, options, LARGE, AT_384)


def swin_nano(num_classes: int = 20, img_size: int = 96, **options: Any) -> SwinTransformer:
    """The small Swin of this tutorial: patch 4, window 6, width 32; grids 24, 12, 6, 3 at 96 x 96
    pixels.

    1.5 M parameters, which two CPU cores train in minutes. Inputs are normalised with mean 0.5 and
    deviation 0.5.
    """
    options["img_size"] = img_size
    model = build("swin_nano", num_classes, options, NANO, {"window_size": 6})
    model.pretrained_cfg.update(mean=(0.5,) * 3, std=(0.5,) * 3)
    return model


BUILDERS = {
    builder.__name__: builder
    for builder in (
        swin_tiny_patch4_window7_224,
        swin_small_patch4_window7_224,
        swin_base_patch4_window7_224,
        swin_base_patch4_window12_384,
        swin_base_patch4_window7_224_in22k,
        swin_base_patch4_window12_384_in22k,
        swin_large_patch4_window7_224_in22k,
        swin_large_patch4_window12_384_in22k,
        swin_nano,
    )
}
