"""Multi-granularity feature fusion: four maps of any backbone, aligned, attended, joined in a
graph, classified.

MGFF paper, section 3. Every point that the text leaves open is a field of `options.MGFFOptions`. A
part can be your own module instead of the packaged one:

    class Blur(nn.Module):                       # (B, C, H, W) -> (B, C, H, W)
        def __init__(self, dim, grid):
            super().__init__()
            self.mix = nn.Conv2d(dim, dim, 3, padding=1, groups=dim)

        def forward(self, x):
            return x + self.mix(x)

    model = MGFFClassifier("swin_nano", num_classes=20, attention=Blur)

Two traps. MGFF enters through a gate that starts at 0, so at the first step a new part gets no
gradient; from the second step on it does. And a checkpoint with parts of your own is refused unless
the same parts are passed again: ``build_from_checkpoint(path, attention=Blur)``.
"""

from collections.abc import Sequence
from typing import Any

import torch
from torch import nn

from .align import GranularityAlign
from .attention import ChannelAttention, SpatialSelfAttention, init_linear
from .backbones import build_backbone
from .graph import GCNHead, grid_adjacency
from .options import PARTS, resolve_options
from .support.errors import InputError, check_choice, check_number
from .support.shapes import check_tensor


class MGFF(nn.Module):
    """Feature maps of four granularities -> one vector per image; works on maps from anywhere.

    Args:
        channels, grids: channels and (H, W) of the four maps, from the finest to the last.
        preset: "default" or "literal".
        **changes: single options, see `options.MGFFOptions`. ``attention``, ``channel_attention``
            and ``graph`` take True (the packaged part), False (left out), or a function that builds
            your own: ``attention(dim, grid)`` and ``channel_attention(dim)``, modules
            (B, C, H, W) -> (B, C, H, W), and ``graph(in_dim, out_dim, nodes)``, a module
            (B, N, in_dim) -> (B, N, out_dim).

    Shapes, for Swin-B at 384: maps 256 x 48 x 48, 512 x 24 x 24, 1024 x 12 x 12, 1024 x 12 x 12;
    aligned 4 maps of 1024 x 12 x 12; 576 nodes of 1024; 18 super-nodes of 1024; vector of 1024.

    Raises:
        InputError: unknown options, or maps of other shapes than announced.
    """

    def __init__(
        self,
        channels: Sequence[int],
        grids: Sequence[tuple[int, int]],
        preset: str = "default",
        **changes: Any,
    ) -> None:
        super().__init__()
        if len(channels) != 4 or len(grids) != 4:
            raise InputError(
                f"MGFF takes four maps, got {len(channels)} channels and {len(grids)} grids."
            )
        self.options = o = resolve_options(preset, **changes)
        self.channels, self.grids = tuple(channels), tuple(tuple(grid) for grid in grids)
        self.grid, self.dim, self.width = self.grids[-1], o.dim or channels[-1], channels[-1]
        if o.attention is True and o.heads and self.dim % o.heads:
            raise InputError(f"heads must divide the {self.dim} channels of a map, got {o.heads}.")
        count = len(o.granularities)
        self.align = GranularityAlign(channels, grids, self.dim, o.align_norm, o.granularities)
        pairs = [(self._attention(), self._channel_attention()) for _ in range(count)]
        self.attention, self.channel = map(nn.ModuleList, zip(*pairs))
        side_by_side = o.fuse == "channels"
        positions = self.grid[0] * self.grid[1]
        self.nodes = positions if side_by_side else positions * count
        node_dim = self.dim * count if side_by_side else self.dim
        graph_options = {}
        if o.graph is True:
            fixed = grid_adjacency(self.grid, 1 if side_by_side else count)
            graph_options = {
                "adjacency": o.adjacency,
                "fixed": fixed if o.adjacency == "grid" else None,
                "norm": o.graph_norm,
                "activation": o.graph_activation,
                "residual": o.graph_residual and node_dim == self.dim,
            }
        self.head = GCNHead(
            node_dim,
            self.dim,
            self.nodes,
            o.super_nodes,
            o.graph,
            o.pool,
            o.norm_nodes,
            o.scores,
            **graph_options,
        )
        self.drop = nn.Dropout(o.drop)
        if o.entry == "residual":
            # The new vector enters through a gate that is 0 at the start, one number per channel.
            self.exit_norm = nn.LayerNorm(self.dim)
            same = self.dim == self.width
            self.exit = nn.Identity() if same else init_linear(nn.Linear(self.dim, self.width))
            self.gate = nn.Parameter(torch.zeros(self.width))

    def _attention(self):
        o = self.options
        if o.attention is not True:
            return o.attention(self.dim, self.grid) if o.attention else nn.Identity()
        heads = o.heads
        if heads is None:  # one for each 64 channels, or the next number that divides them
            heads = next(h for h in range(max(self.dim // 64, 1), 0, -1) if self.dim % h == 0)
        return SpatialSelfAttention(
            self.dim,
            self.grid,
            heads,
            o.position_bias,
            o.attention_residual,
            o.attention_norm,
            o.identity_start,
        )

    def _channel_attention(self):
        o = self.options
        if o.channel_attention is not True:
            return o.channel_attention(self.dim) if o.channel_attention else nn.Identity()
        return ChannelAttention(self.dim, o.reduction, o.identity_start)

    @property
    def foreign_parts(self) -> dict[str, str]:
        """Parts that are not the package's own: option -> name of the class or function."""
        parts = {name: getattr(self.options, name) for name in PARTS}
        return {
            name: getattr(part, "__name__", type(part).__name__)
            for name, part in parts.items()
            if not isinstance(part, bool)
        }

    def forward(self, maps: Sequence[torch.Tensor]) -> dict[str, Any]:
        """Four maps (B, C_i, H_i, W_i) -> dict.

        "maps": the chosen granularities after alignment and both attentions, each (B, dim, H, W);
        "nodes": (B, N, dim), node g * H * W + position (under ``fuse="channels"``:
        (B, H W, granularities * dim)); "super_nodes": (B, M, dim); "assignment": (B, N, M) or None;
        "vector": (B, dim), their mean; "update": (B, C), what is added to the backbone's own vector
        (None under ``entry="replace"``); "embedding": (B, C), mean of the last map + update, or the
        vector itself under "replace".
        """
        check_maps(maps, self.channels, self.grids, next(self.parameters()).dtype)
        chosen = self.align(maps)
        chosen = [
            channel(attention(m))
            for m, attention, channel in zip(chosen, self.attention, self.channel)
        ]
        tokens = [m.flatten(2).transpose(1, 2) for m in chosen]  # each (B, H W, dim)
        nodes = torch.cat(tokens, dim=1 if self.options.fuse == "nodes" else 2)
        out = {"maps": chosen, "nodes": nodes, **self.head(nodes)}
        out["vector"] = vector = self.drop(out.pop("embedding"))
        if self.options.entry == "replace":
            return {**out, "update": None, "embedding": vector}
        update = self.gate * self.exit(self.exit_norm(vector))
        return {**out, "update": update, "embedding": maps[-1].mean((2, 3)) + update}


def check_maps(maps, channels, grids, dtype):
    """The door of MGFF: four maps of these channels and grids, for one number of images."""
    if not isinstance(maps, (list, tuple)) or len(maps) != 4:
        got = len(maps) if isinstance(maps, (list, tuple)) else type(maps).__name__
        raise InputError(f"maps must be a list of four feature maps, got {got}.")
    count = "B"
    for i, (x, width, grid) in enumerate(zip(maps, channels, grids)):
        check_tensor(f"feature map {i}", x, (count, width, *grid), dtype)
        count = x.shape[0]


class MGFFClassifier(nn.Module):
    """A backbone, MGFF on its four feature maps, and a linear classifier: images (B, 3, H, W) ->
    logits.

    With the default preset a fresh model gives exactly the logits of the plain baseline (the
    backbone's own pooling and a linear layer): MGFF's vector is added to every position of the last
    map before that pooling, through a gate that starts at 0. Built after the same seed,
    ``preset="baseline"`` has the same backbone and classifier weights.

    Args:
        backbone: name (see `build_backbone`) or a ready model.
        num_classes: 0 leaves the linear classifier out.
        img_size: pixels or (height, width); None takes the backbone's own.
        pretrained: weights of the backbone: True, False, or a path.
        preset: "default", "literal", or "baseline" (no MGFF at all, for comparisons).
        drop_rate: dropout before the classifier. drop_path_rate: stochastic depth of the backbone,
            where it has it.
        in_chans: channels of the images. global_pool: see `reset_classifier`.
        **changes: single options of MGFF, see `options.MGFFOptions`.

    Raises:
        InputError: unknown names, options, sizes; in ``forward``, images of another shape or dtype.
        CheckpointError: weights that can't be had or don't fit.
    """

    def __init__(
        self,
        backbone: str | nn.Module = "swin_base_patch4_window12_384",
        num_classes: int = 200,
        img_size: int | tuple[int, int] | None = None,
        pretrained: bool = False,
        preset: str = "default",
        drop_rate: float = 0.0,
        drop_path_rate: float | None = None,
        in_chans: int = 3,
        global_pool: str = "avg",
        **changes: Any,
    ) -> None:
        super().__init__()
        self._model_args = {  # what timm's `save_for_hf` notes for building it again
            **{"num_classes": num_classes, "preset": preset, "in_chans": in_chans, **changes},
            **({} if img_size is None else {"img_size": img_size}),
        }
        check_number("num_classes", num_classes, 0, whole=True)
        check_number("drop_rate", drop_rate, 0, 1)
        extra = {} if in_chans == 3 else {"in_chans": in_chans}
        if drop_path_rate is not None:
            extra["drop_path_rate"] = check_number(
                "drop_path_rate", drop_path_rate, 0, 1, below=True
            )
        self.options = resolve_options(preset, **changes)
        if preset == "baseline" and set(changes) - {"last_map"}:
            raise InputError(
                f"preset 'baseline' has no MGFF, so {sorted(changes)[0]!r} doesn't apply to it."
            )
        self.backbone = build_backbone(
            backbone, img_size, pretrained, self.options.last_map, **extra
        )
        replaced = preset != "baseline" and self.options.entry == "replace"
        own = self.options.dim or self.backbone.channels[-1]
        self.num_features = own if replaced else self.backbone.embed_dim
        self.head_hidden_size, self.drop_rate = self.num_features, drop_rate
        self.img_size, self.preset = self.backbone.img_size, preset
        self.in_chans, self.global_pool = self.backbone.in_chans, "avg"
        self.output_fmt = self.backbone.layout
        self.pretrained_cfg = self.default_cfg = self._cfg()
        self.reset_classifier(num_classes, global_pool)
        self.mgff = None
        if preset != "baseline":
            self.mgff = MGFF(self.backbone.channels, self.backbone.grids, preset, **changes)
        if replaced:
            self.backbone.freeze_unused()

    def forward_features(self, x: torch.Tensor) -> torch.Tensor:
        """Images -> what the head pools: the last map with MGFF's vector added, in the backbone's
        own layout.

        Under ``entry="replace"`` it is the super-nodes, (B, M, dim).
        """
        return self._features(x)[0]

    def _features(self, x):
        """(What the head pools, the dict of `MGFF.forward` or None) of checked images."""
        self.backbone.check_images(x)
        maps, final = self.backbone.forward_features(x)
        if self.mgff is None:
            return final, None
        out = self.mgff(maps)
        if out["update"] is None:
            return out["super_nodes"], out
        return self.backbone.add(final, out["update"]), out

    def forward_head(self, x: torch.Tensor, pre_logits: bool = False) -> torch.Tensor:
        """Result of `forward_features` -> logits (B, num_classes), or with ``pre_logits`` the
        vector they come from.
        """
        if not self.global_pool:
            return x
        if self.mgff is not None and self.options.entry == "replace":
            x = self.mgff.drop(x.mean(1))
        else:
            x = self.backbone.pool(x)
        x = nn.functional.dropout(x, self.drop_rate, self.training)
        return x if pre_logits else self.classifier(x)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Images (B, 3, H, W), normalised by ``pretrained_cfg``'s mean and std -> logits (B,
        num_classes).
        """
        return self.forward_head(self.forward_features(x))

    def details(self, x: torch.Tensor) -> dict[str, Any]:
        """Everything MGFF makes of images, for figures: the dict of `MGFF.forward`, and
        "logits".
        """
        if self.mgff is None:
            raise InputError(
                "the baseline has no MGFF to look into; use preset='default' or 'literal'."
            )
        features, out = self._features(x)
        return {**out, "logits": self.forward_head(features)}

    # What timm's tools ask of a model.

    def _cfg(self) -> dict[str, Any]:
        """How inputs are made (mean, std, input_size), as a dict in timm's terms."""
        own = getattr(self.backbone.model, "pretrained_cfg", None) or {}
        first = own.get("first_conv")
        named = {"first_conv": f"backbone.model.{first}"} if isinstance(first, str) else {}
        return {
            **own,
            **named,
            "architecture": f"mgff_{self.backbone.name.partition('.')[0]}",
            "input_size": (self.in_chans, *self.img_size),
            "pool_size": self.backbone.grids[-1],
            "classifier": "classifier",
            "fixed_input_size": True,
        }

    def get_classifier(self) -> nn.Module:
        """The linear layer that gives the logits."""
        return self.classifier

    def reset_classifier(self, num_classes: int, global_pool: str | None = None) -> None:
        """A new, randomly initialised classifier for ``num_classes`` (0: none).

        ``global_pool``: "avg" for what the backbone's own head does, "" for the last map as it is.
        """
        check_number("num_classes", num_classes, 0, whole=True)
        if global_pool is not None:
            self.global_pool = check_choice("global_pool", global_pool, ("avg", ""))
        if num_classes and not self.global_pool:
            raise InputError("global_pool '' gives a map, which no classifier takes; use 'avg'.")
        self.num_classes = self.pretrained_cfg["num_classes"] = num_classes
        weight, width = next(self.parameters()), self.num_features
        layer = init_linear(nn.Linear(width, num_classes)) if num_classes else nn.Identity()
        self.classifier = layer.to(weight.device, weight.dtype).train(self.training)

    def set_grad_checkpointing(self, enable: bool = True) -> None:
        """Trade time for memory in the backbone, where it can."""
        if hasattr(self.backbone.model, "set_grad_checkpointing"):
            self.backbone.model.set_grad_checkpointing(enable)

    def no_weight_decay(self) -> set[str]:
        """Names of parameters that weight decay should leave alone: bias tables, positions, the
        adjacency.
        """
        inner = getattr(self.backbone.model, "no_weight_decay", set)() or set()
        own = {
            name
            for name, _ in self.named_parameters()
            if name.endswith(
                ("relative_position_bias_table", "graph.adjacency", "graph.alpha", ".gate")
            )
        }
        return {f"backbone.model.{name}" for name in inner} | own

    def group_matcher(self, coarse: bool = False) -> dict[str, Any]:
        """Patterns by which timm groups parameters into layers; MGFF and classifier come last. A
        backbone without patterns of its own is one layer.
        """
        own = getattr(self.backbone.model, "group_matcher", None)
        if own is None:
            return {"stem": r"^backbone\.", "blocks": [(r"^mgff\.", (0,))]}
        return {key: _prefixed(pattern) for key, pattern in own(coarse=coarse).items()}

    def set_input_size(self, *args: Any, **kwargs: Any) -> None:
        """Not for MGFF: its alignment and position biases belong to one grid."""
        raise InputError("MGFF is built for one size; build it again with img_size=...")

    def parameter_groups(
        self, lr: float, head_lr_scale: float = 1.0, weight_decay: float = 0.0
    ) -> list[dict[str, Any]]:
        """Groups for an optimiser: backbone at ``lr``, new layers (MGFF, classifier) at ``lr *
        head_lr_scale``.

        Biases, norms and what `no_weight_decay` names get no weight decay. Every group carries
        "lr_scale", by which timm's schedulers keep the ratio.
        """
        skipped, groups = self.no_weight_decay(), {}
        for name, parameter in self.named_parameters():
            if not parameter.requires_grad:
                continue
            scale = 1.0 if name.startswith("backbone.") else head_lr_scale
            decay = 0.0 if parameter.ndim <= 1 or name in skipped else weight_decay
            group = groups.setdefault(
                (scale, decay),
                {"params": [], "lr": lr * scale, "lr_scale": scale, "weight_decay": decay},
            )
            group["params"].append(parameter)
        return list(groups.values())


def _prefixed(pattern):
    """A pattern of timm's `group_matcher` for a model that has become ``backbone.model``."""
    if isinstance(pattern, str):
        return pattern.replace("^", r"^backbone\.model\.")
    return [(_prefixed(p[0]), *p[1:]) if isinstance(p, tuple) else _prefixed(p) for p in pattern]
