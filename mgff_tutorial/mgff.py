"""Multi-granularity feature fusion: four maps of any backbone, aligned, attended, joined in a
graph, classified.

MGFF paper, section 3. Every point that the text leaves open is an option; `PRESETS` names the ways
to set them.
"""

import torch
from torch import nn

from .align import GranularityAlign
from .attention import ChannelAttention, SpatialSelfAttention, init_linear
from .backbones import build_backbone
from .graph import GCNHead, grid_adjacency
from .support.errors import InputError, check_number, unknown_name

# What the paper's text says, to the letter; a point it leaves open gets the plainest reading.
LITERAL = {
    "granularities": (0, 1, 2, 3),  # which of the four maps take part
    # "stage": bare last stage; "classifier": what the backbone's classifier sees
    "last_map": "stage",
    # "replace": MGFF's vector is classified; "residual": it is added, through a gate
    "entry": "replace",
    "dim": None,  # channels of the aligned maps; None: those of the last map
    "align_norm": "none",  # "none" or "layer", after the alignment convolutions
    "self_attention": True,
    "heads": 1,  # None: one for each 64 channels
    "position_bias": True,  # E_pos as a relative position bias
    "attention_residual": False,
    "attention_norm": False,  # layer norm before Q, K, V
    "projection": False,  # a linear layer after the heads
    "channel_attention": True,
    "reduction": 16,
    "identity_start": False,  # both attentions start as the identity (needs attention_residual)
    "fuse": "nodes",  # "nodes": position x granularity; "channels": granularities side by side
    "norm_nodes": False,  # layer norm of the nodes before the graph
    "graph": True,
    "adjacency": "learned",  # "learned", "similarity" or "grid"
    "graph_norm": True,
    "graph_activation": True,
    "graph_residual": False,
    "pool": "after",  # super-nodes after the graph convolution, "before" it, or "none"
    "super_nodes": None,  # None: nodes / 32, at least 8
    "scores": "content",  # of the soft assignment: "content" or "position"
    "drop": 0.0,  # dropout on MGFF's vector
}
# The same system so that training starts where the plain baseline stands, and each new part begins
# as nothing.
DEFAULT = {
    **LITERAL,
    "last_map": "classifier",
    "entry": "residual",
    "align_norm": "layer",
    "heads": None,
    "attention_residual": True,
    "attention_norm": True,
    "identity_start": True,
    "norm_nodes": True,
    "graph_residual": True,
}
PRESETS = {"default": DEFAULT, "literal": LITERAL, "baseline": {}}


def resolve_options(preset="default", **changes):
    """The full table of options of a preset, with ``changes`` applied; a wrong name or value is an
    `InputError`.
    """
    if not isinstance(preset, str) or preset not in PRESETS:
        raise unknown_name("preset", preset, PRESETS)
    for name in changes:
        if name not in LITERAL:
            raise unknown_name("MGFF option", name, LITERAL)
    options = {**(PRESETS[preset] or DEFAULT), **changes}
    chosen = options["granularities"]
    if (
        not isinstance(chosen, (tuple, list))
        or not chosen
        or len({0, 1, 2, 3} & set(chosen)) != len(chosen)
        or not all(type(i) is int for i in chosen)
    ):
        raise InputError(f"granularities must be different numbers from 0 to 3, got {chosen!r}.")
    dim, heads = options["dim"], options["heads"]
    if dim is not None:
        check_number("dim", dim, 1, whole=True)
    if heads is not None:
        check_number("heads", heads, 1, whole=True)
    check_number("reduction", options["reduction"], 1, whole=True)
    check_number("drop", options["drop"], 0, 1)
    for name, value in LITERAL.items():
        if isinstance(value, bool) and not isinstance(options[name], bool):
            raise InputError(f"{name} must be True or False, got {options[name]!r}.")
    options["granularities"] = tuple(sorted(chosen))
    for name, accepted in (("entry", ("residual", "replace")), ("fuse", ("nodes", "channels"))):
        if options[name] not in accepted:
            raise InputError(
                f"{name} must be {' or '.join(map(repr, accepted))}, got {options[name]!r}."
            )
    return options


class MGFF(nn.Module):
    """Feature maps of four granularities -> one vector an image; works on maps from anywhere.

    Args:
        channels, grids: channels and (H, W) of the four maps, from the finest to the last.
        preset: "default" or "literal".
        **changes: single options, see `LITERAL` for names and meanings.

    Shapes, for Swin-B at 384: maps 256 x 48 x 48, 512 x 24 x 24, 1024 x 12 x 12, 1024 x 12 x 12;
    aligned 4 maps of 1024 x 12 x 12; 576 nodes of 1024; 18 super-nodes of 1024; vector of 1024.

    Raises:
        InputError: unknown options, or maps of other shapes than announced.
    """

    def __init__(self, channels, grids, preset="default", **changes):
        super().__init__()
        if len(channels) != 4 or len(grids) != 4:
            raise InputError(
                f"MGFF takes four maps, got {len(channels)} channels and {len(grids)} grids."
            )
        self.options = o = resolve_options(preset, **changes)
        chosen, self.width = o["granularities"], channels[-1]
        self.grid, self.dim = tuple(grids[-1]), o["dim"] or channels[-1]
        self.align = GranularityAlign(channels, grids, self.dim, o["align_norm"], chosen)
        self.attention, self.channel = nn.ModuleList(), nn.ModuleList()
        for _ in chosen:
            self.attention.append(self._attention() if o["self_attention"] else nn.Identity())
            self.channel.append(
                ChannelAttention(self.dim, o["reduction"], o["identity_start"])
                if o["channel_attention"]
                else nn.Identity()
            )
        side_by_side = o["fuse"] == "channels"
        positions = self.grid[0] * self.grid[1]
        self.nodes = positions if side_by_side else positions * len(chosen)
        node_dim = self.dim * len(chosen) if side_by_side else self.dim
        fixed = (
            grid_adjacency(self.grid, 1 if side_by_side else len(chosen))
            if o["adjacency"] == "grid"
            else None
        )
        if o["pool"] == "before" and fixed is not None:
            raise InputError(
                "adjacency 'grid' is a matter of positions, so it can't come after pool='before'."
            )
        self.head = GCNHead(
            node_dim,
            self.dim,
            self.nodes,
            o["super_nodes"],
            o["graph"],
            o["pool"],
            o["norm_nodes"],
            o["scores"],
            **(
                dict(
                    adjacency=o["adjacency"],
                    fixed=fixed,
                    norm=o["graph_norm"],
                    activation=o["graph_activation"],
                    residual=o["graph_residual"] and node_dim == self.dim,
                )
                if o["graph"]
                else {}
            ),
        )
        self.drop = nn.Dropout(o["drop"])
        if o["entry"] == "residual":
            # The new vector enters through a gate that is 0 at the start, one number for each
            # channel.
            self.exit_norm = nn.LayerNorm(self.dim)
            self.exit = (
                nn.Identity()
                if self.dim == self.width
                else init_linear(nn.Linear(self.dim, self.width))
            )
            self.gate = nn.Parameter(torch.zeros(self.width))

    def _attention(self):
        o = self.options
        heads = o["heads"] or next(
            h for h in range(max(self.dim // 64, 1), 0, -1) if self.dim % h == 0
        )
        return SpatialSelfAttention(
            self.dim,
            self.grid,
            heads,
            o["position_bias"],
            o["attention_residual"],
            o["attention_norm"],
            o["projection"],
            o["identity_start"],
        )

    def forward(self, maps):
        """Four maps (B, C_i, H_i, W_i) -> dict.

        "maps": the chosen granularities after alignment and both attentions, each (B, dim, H, W);
        "nodes": (B, N, dim), node g * H * W + position (under ``fuse="channels"``: (B, H W,
        granularities * dim)); "super_nodes": (B, M, dim); "assignment": (B, N, M) or None;
        "vector": (B, dim), their mean; "update": (B, C), what is added to the backbone's own vector
        (None under ``entry="replace"``); "embedding": (B, C), mean of the last map + update, or the
        vector itself under "replace".
        """
        if not isinstance(maps, (list, tuple)) or len(maps) != 4:
            got = len(maps) if isinstance(maps, (list, tuple)) else type(maps).__name__
            raise InputError(f"maps must be a list of four feature maps, got {got}.")
        chosen = self.align(maps)
        chosen = [
            channel(attention(m))
            for m, attention, channel in zip(chosen, self.attention, self.channel)
        ]
        tokens = [m.flatten(2).transpose(1, 2) for m in chosen]  # each B, H W, dim
        nodes = torch.cat(tokens, dim=1 if self.options["fuse"] == "nodes" else 2)
        out = {"maps": chosen, "nodes": nodes, **self.head(nodes)}
        out["vector"] = vector = self.drop(out.pop("embedding"))
        if self.options["entry"] == "replace":
            return {**out, "update": None, "embedding": vector}
        update = self.gate * self.exit(self.exit_norm(vector))
        return {**out, "update": update, "embedding": maps[-1].mean((2, 3)) + update}


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
        **changes: single options of MGFF, see `LITERAL`.

    Raises:
        InputError: unknown names, options, sizes; in ``forward``, images of another shape or dtype.
        CheckpointError: weights that can't be had or don't fit.
    """

    def __init__(
        self,
        backbone="swin_base_patch4_window12_384",
        num_classes=200,
        img_size=None,
        pretrained=False,
        preset="default",
        drop_rate=0.0,
        drop_path_rate=None,
        **changes,
    ):
        super().__init__()
        check_number("num_classes", num_classes, 0, whole=True)
        check_number("drop_rate", drop_rate, 0, 1)
        if drop_path_rate is not None:
            check_number("drop_path_rate", drop_path_rate, 0, 1, below=True)
        self.options = resolve_options(preset, **changes)
        if preset == "baseline" and set(changes) - {"last_map"}:
            raise InputError(
                f"preset 'baseline' has no MGFF, so {sorted(changes)[0]!r} doesn't apply to it."
            )
        extra = {} if drop_path_rate is None else {"drop_path_rate": drop_path_rate}
        self.backbone = build_backbone(
            backbone, img_size, pretrained, self.options["last_map"], **extra
        )
        replaced = preset != "baseline" and self.options["entry"] == "replace"
        self.num_features = (
            (self.options["dim"] or self.backbone.channels[-1])
            if replaced
            else self.backbone.embed_dim
        )
        self.head_hidden_size, self.drop_rate = self.num_features, drop_rate
        self.img_size, self.preset = self.backbone.img_size, preset
        self.reset_classifier(num_classes)
        self.mgff = None
        if preset != "baseline":
            self.mgff = MGFF(self.backbone.channels, self.backbone.grids, preset, **changes)
        if replaced:
            self.backbone.freeze_unused()

    def forward_features(self, x):
        """Images -> what the head pools: the last map with MGFF's vector added, in the backbone's
        own layout.

        Under ``entry="replace"`` it is the super-nodes, (B, M, dim).
        """
        self.backbone.check_images(x)
        maps, final = self.backbone.forward_features(x)
        if self.mgff is None:
            return final
        out = self.mgff(maps)
        return (
            out["super_nodes"] if out["update"] is None else self.backbone.add(final, out["update"])
        )

    def forward_head(self, x, pre_logits=False):
        """Result of `forward_features` -> logits (B, num_classes), or with ``pre_logits`` the
        vector they come from.
        """
        if self.mgff is not None and self.options["entry"] == "replace":
            x = self.mgff.drop(x.mean(1))
        else:
            x = self.backbone.pool(x)
        x = nn.functional.dropout(x, self.drop_rate, self.training)
        return x if pre_logits else self.classifier(x)

    def forward(self, x):
        """Images (B, 3, H, W), normalised by ``pretrained_cfg``'s mean and std -> logits (B,
        num_classes).
        """
        return self.forward_head(self.forward_features(x))

    def details(self, x):
        """Everything MGFF makes of images, for figures: the dict of `MGFF.forward`, and
        "logits".
        """
        if self.mgff is None:
            raise InputError(
                "the baseline has no MGFF to look into; use preset='default' or 'literal'."
            )
        self.backbone.check_images(x)
        maps, final = self.backbone.forward_features(x)
        out = self.mgff(maps)
        features = (
            out["super_nodes"] if out["update"] is None else self.backbone.add(final, out["update"])
        )
        return {**out, "logits": self.forward_head(features)}

    # What timm's tools ask of a model.

    @property
    def pretrained_cfg(self):
        """How inputs are made (mean, std, input_size), as a dict in timm's terms."""
        own = dict(getattr(self.backbone.model, "pretrained_cfg", None) or {})
        first = own.get("first_conv")
        if isinstance(first, str):
            own["first_conv"] = f"backbone.model.{first}"
        return {
            **own,
            "architecture": f"mgff_{self.backbone.name}",
            "input_size": (3, *self.img_size),
            "num_classes": self.num_classes,
            "classifier": "classifier",
            "fixed_input_size": True,
        }

    default_cfg = pretrained_cfg

    def get_classifier(self):
        """The linear layer that gives the logits."""
        return self.classifier

    def reset_classifier(self, num_classes, global_pool=None):
        """A new, randomly initialised classifier for ``num_classes`` (0: none)."""
        check_number("num_classes", num_classes, 0, whole=True)
        if global_pool not in (None, "avg"):
            raise InputError(
                f"global_pool can't be changed here, got {global_pool!r}; leave it out."
            )
        self.num_classes = num_classes
        weight = next(self.parameters())
        layer = (
            init_linear(nn.Linear(self.num_features, num_classes)) if num_classes else nn.Identity()
        )
        self.classifier = layer.to(weight.device, weight.dtype).train(self.training)

    def set_grad_checkpointing(self, enable=True):
        """Trade time for memory in the backbone, where it can."""
        self.backbone.model.set_grad_checkpointing(enable)

    def no_weight_decay(self):
        """Names of parameters that weight decay should leave alone: bias tables, positions, the
        adjacency.
        """
        inner = getattr(self.backbone.model, "no_weight_decay", set)()
        own = {
            name
            for name, _ in self.named_parameters()
            if name.endswith(
                ("relative_position_bias_table", "graph.adjacency", "graph.alpha", ".gate")
            )
        }
        return {f"backbone.model.{name}" for name in inner} | own

    def group_matcher(self, coarse=False):
        """Patterns by which timm groups parameters into layers; MGFF and classifier come last."""
        groups = self.backbone.model.group_matcher(coarse=coarse)
        return {key: _prefixed(pattern) for key, pattern in groups.items()}

    def parameter_groups(self, lr, head_lr_scale=1.0, weight_decay=0.0):
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
