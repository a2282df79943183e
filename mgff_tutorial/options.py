"""What may be chosen: the options of MGFF, a field for each point that the paper's text leaves
open, and which options of a Swin fit together.

`PRESETS` names the ways to set them: "literal" is the text to the letter, "default" what measures
best, "baseline" no MGFF at all (for comparisons).
"""

import dataclasses
from collections.abc import Callable
from dataclasses import dataclass

from .support.errors import InputError, check_choice, check_name, check_number, unknown_name

CHOICES = {
    "last_map": ("stage", "classifier"),
    "entry": ("replace", "residual"),
    "align_norm": ("none", "layer"),
    "fuse": ("nodes", "channels"),
    "adjacency": ("learned", "similarity", "grid"),
    "pool": ("after", "before", "none"),
    "scores": ("content", "position"),
}
PARTS = ("attention", "channel_attention", "graph")  # True, False, or a function that builds one


@dataclass(frozen=True)
class MGFFOptions:
    """All choices of `MGFF`. The defaults here are the paper's text to the letter; a point that it
    leaves open gets the plainest reading.
    """

    granularities: tuple = (0, 1, 2, 3)  # which of the four maps take part
    last_map: str = "stage"  # the bare last stage, or what the backbone's "classifier" sees
    entry: str = "replace"  # MGFF's vector is classified, or added through a gate ("residual")
    dim: int | None = None  # channels of the aligned maps; None: those of the last map
    align_norm: str = "none"  # or "layer", after the alignment convolutions
    attention: bool | Callable = True  # spatial self-attention, or attention(dim, grid)
    heads: int | None = 1  # of the self-attention; None: one for each 64 channels
    position_bias: bool = True  # E_pos as a relative position bias
    attention_residual: bool = False  # add the map to what the self-attention gives
    attention_norm: bool = False  # layer norm before Q, K, V
    channel_attention: bool | Callable = True  # squeeze and excitation, or channel_attention(dim)
    reduction: int = 16  # r of squeeze and excitation
    identity_start: bool = False  # both attentions start as the identity
    fuse: str = "nodes"  # position x granularity; "channels": granularities side by side
    norm_nodes: bool = False  # layer norm of the nodes before the graph
    graph: bool | Callable = True  # graph convolution, or graph(in_dim, out_dim, nodes)
    adjacency: str = "learned"  # "learned", "similarity" or "grid"
    graph_norm: bool = False  # layer norm after the graph convolution
    graph_activation: bool = False  # GELU after it
    graph_residual: bool = False  # add the nodes to it
    pool: str = "after"  # super-nodes after the graph convolution, "before" it, or "none"
    super_nodes: int | None = None  # None: nodes / 32, at least 8
    scores: str = "content"  # of the soft assignment: "content" or "position"
    drop: float = 0.0  # dropout on MGFF's vector

    def __post_init__(self):
        for name, accepted in CHOICES.items():
            check_choice(name, getattr(self, name), accepted)
        for field in (one for one in dataclasses.fields(self) if isinstance(one.default, bool)):
            value = getattr(self, field.name)
            if not isinstance(value, bool) and not (field.name in PARTS and callable(value)):
                raise InputError(f"{field.name} must be True or False, got {value!r}.")
        for name in ("dim", "heads", "super_nodes", "reduction"):
            if getattr(self, name) is not None or name == "reduction":
                check_number(name, getattr(self, name), 1, whole=True)
        check_number("drop", self.drop, 0, 1)
        chosen = self.granularities
        if (
            not isinstance(chosen, (tuple, list))
            or not chosen
            or not all(type(i) is int and 0 <= i <= 3 for i in chosen)
            or len(set(chosen)) != len(chosen)
        ):
            raise InputError(
                f"granularities must be different numbers from 0 to 3, got {chosen!r}."
            )
        object.__setattr__(self, "granularities", tuple(sorted(chosen)))
        if self.identity_start and self.attention is True and not self.attention_residual:
            raise InputError(
                "identity_start needs attention_residual=True: without it a zero start would erase "
                "the map."
            )
        if self.adjacency == "grid" and self.pool == "before":
            raise InputError(
                "adjacency 'grid' is a matter of positions, so it can't come after pool='before'."
            )

    def replace(self, **changes):
        """These options with some changed; ``self_attention`` is the old name of ``attention``."""
        if "self_attention" in changes:
            changes["attention"] = changes.pop("self_attention")
        names = [field.name for field in dataclasses.fields(self)]
        for name in changes:
            check_name("MGFF option", name, names)
        return dataclasses.replace(self, **changes)


LITERAL = MGFFOptions()
# The same system so that training starts where the plain baseline stands: each new part begins as
# nothing.
DEFAULT = LITERAL.replace(
    last_map="classifier",
    entry="residual",
    align_norm="layer",
    heads=None,
    attention_residual=True,
    attention_norm=True,
    identity_start=True,
    norm_nodes=True,
    graph_norm=True,
    graph_activation=True,
    graph_residual=True,
)
PRESETS = {"default": DEFAULT, "literal": LITERAL, "baseline": DEFAULT}


def resolve_options(preset="default", **changes):
    """The `MGFFOptions` of a preset, with ``changes`` applied; a wrong name or value is an
    `InputError`.
    """
    return PRESETS[check_name("preset", preset, PRESETS)].replace(**changes)


# What timm and its models take beside the options of a model: ways to other weights, and to files.
WAYS_TO_WEIGHTS = (
    *("checkpoint_path", "cache_dir", "pretrained", "pretrained_cfg", "pretrained_cfg_overlay"),
    *("pretrained_custom_load", "pretrained_model_args", "pretrained_strict"),
)
# What a file may say of how a model is built. Names of functions or files are not among it.
MODEL_OPTIONS = {
    *(field.name for field in dataclasses.fields(MGFFOptions)),
    *("num_classes", "img_size", "in_chans", "preset", "global_pool", "self_attention"),
    *("drop_rate", "drop_path_rate", "proj_drop_rate", "attn_drop_rate", "pos_drop_rate"),
    *("patch_size", "embed_dim", "depth", "depths", "dims", "num_heads", "window_size"),
    *("mlp_ratio", "qkv_bias", "qk_norm", "init_values", "class_token", "reg_tokens"),
    *("dynamic_img_size", "dynamic_img_pad", "strict_img_size", "no_embed_class", "fc_norm"),
    *("drop_block_rate", "patch_drop_rate", "output_stride", "pad_first", "listing", "patch_norm"),
    *("use_checkpoint", "ls_init_value", "kernel_sizes", "in_22k", "final_norm", "dim"),
}


def check_model_options(options, source=None):
    """Fail in one sentence if options of a model open a way to other weights than those asked for.

    Args:
        options: name -> value. source: a file that they were read from; then only options that
            are known to be harmless, with plain values, are accepted.
    """
    for name, value in options.items():
        if name in WAYS_TO_WEIGHTS or name.startswith("pretrained"):
            raise InputError(
                f"{f'{source}: ' if source else ''}{name}: weights come by pretrained=True or "
                "pretrained=PATH alone; leave it out."
            )
        plain = value is None or isinstance(value, (bool, int, float, str, list, tuple))
        if source and (name not in MODEL_OPTIONS or not plain):
            raise unknown_name(f"{source}: model option", name, MODEL_OPTIONS)


def check_swin(
    in_chans, num_classes, global_pool, embed_dim, depths, num_heads, mlp_ratio, **rates
):
    """Fail in one sentence if the options of a `SwinTransformer` do not fit together; ``rates``: of
    dropout and stochastic depth, by name.
    """
    for name, values in (("depths", depths), ("num_heads", num_heads)):
        if not isinstance(values, (tuple, list)):
            raise InputError(f"{name} must be a tuple with one integer per stage, got {values!r}.")
    for name, value, least in (
        ("in_chans", in_chans, 1),
        ("num_classes", num_classes, 0),
        ("embed_dim", embed_dim, 1),
        *(("every one of depths", depth, 0) for depth in depths),
        *(("every one of num_heads", heads, 1) for heads in num_heads),
    ):
        check_number(name, value, least, whole=True)
    check_number("mlp_ratio", mlp_ratio, 1 / embed_dim)
    for name, rate in rates.items():
        check_number(name, rate, 0, 1, below=name == "drop_path_rate")
    if len(depths) != len(num_heads) or not len(depths):
        raise InputError(
            f"depths and num_heads must name the same stages, got {tuple(depths)} and "
            f"{tuple(num_heads)}."
        )
    for i, heads in enumerate(num_heads):
        if embed_dim * 2**i % heads:
            raise InputError(
                f"num_heads of stage {i + 1} must divide its {embed_dim * 2**i} channels, "
                f"got {heads}."
            )
    check_choice("global_pool", global_pool, ("avg", ""))


def model_cfg(
    img_size, num_classes, in_chans=3, mean=(0.485, 0.456, 0.406), std=(0.229, 0.224, 0.225)
):
    """What timm's tools ask of a model: how its inputs are made, and where first and last layer
    are.
    """
    return {
        "input_size": (in_chans, *img_size),
        "num_classes": num_classes,
        "mean": mean,
        "std": std,
        "interpolation": "bicubic",
        "crop_pct": 0.9 if img_size[0] < 384 else 1.0,
        "fixed_input_size": True,
        "pool_size": tuple(-(-s // 32) for s in img_size),
        "first_conv": "patch_embed.proj",
        "classifier": "head.fc",
    }
