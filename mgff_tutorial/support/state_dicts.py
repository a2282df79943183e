"""State dicts as they circulate: what wraps them, what their names begin with, whose they are.

Nothing here opens a file; `checkpoints.read_checkpoint` does that.
"""

import math
import re

import torch

# In training checkpoints the weights are one entry among others. An average of the weights goes
# before the weights of the last step, as in timm; a teacher is the average of its student (DINO).
WRAPPERS = (
    *("state_dict_ema", "model_ema", "ema", "teacher", "model", "state_dict", "model_state_dict"),
    *("model_state", "network", "net", "module", "student", "params", "weights"),
)
VITS = {192: "tiny", 384: "small", 768: "base", 1024: "large", 1280: "huge"}
SWINS = {
    (96, (2, 2, 6, 2)): "tiny",
    (96, (2, 2, 18, 2)): "small",
    (128, (2, 2, 18, 2)): "base",
    (192, (2, 2, 18, 2)): "large",
}
RESNETS = {
    ((2, 2, 2, 2), False): "resnet18",
    ((3, 4, 6, 3), False): "resnet34",
    ((3, 4, 6, 3), True): "resnet50",
    ((3, 4, 23, 3), True): "resnet101",
    ((3, 8, 36, 3), True): "resnet152",
}
CONVNEXTS = {
    (40, (2, 2, 6, 2)): "atto",
    (48, (2, 2, 6, 2)): "femto",
    (64, (2, 2, 6, 2)): "pico",
    (80, (2, 2, 8, 2)): "nano",
    (96, (3, 3, 9, 3)): "tiny",
    (96, (3, 3, 27, 3)): "small",
    (128, (3, 3, 27, 3)): "base",
    (192, (3, 3, 27, 3)): "large",
    (256, (3, 3, 27, 3)): "xlarge",
}


def unwrap(content):
    """The state dict inside a training checkpoint, or ``content`` itself; up to three wrappings."""
    for _ in range(3):
        if not isinstance(content, dict):
            break
        inner = [content[key] for key in WRAPPERS if isinstance(content.get(key), dict)]
        if not inner:
            break
        content = inner[0]
    return content


def without_prefix(state, own):
    """A state dict without what wrappers put in front of its names (``module.``, ``model.``,
    ``backbone.``, ...).

    Only where that brings at least half of the model's names to light, and none is known as the
    file has it. Entries beside the prefix (a projection head of pretraining) are left out then.

    Args:
        state: name -> tensor. own: the names that the model has.
    """
    own, found = set(own), state
    for _ in range(4):
        if not found or own & found.keys():
            break
        firsts = [key.partition(".")[0] for key in found if "." in key]
        firsts = [first for first in firsts if not first.isdigit()]
        if not firsts:
            return state
        prefix = max(set(firsts), key=firsts.count) + "."
        found = {
            key.removeprefix(prefix): value
            for key, value in found.items()
            if key.startswith(prefix)
        }
    return found if 2 * len(own & found.keys()) >= len(own) else state


def with_counters(state):
    """The same with a ``num_batches_tracked`` of 0 beside each running mean that has none: older
    files lack them, and nothing but the momentum of a cumulative average depends on them.
    """
    added = {}
    for key in state:
        if key.endswith("running_mean"):
            counter = f"{key.removesuffix('running_mean')}num_batches_tracked"
            if counter not in state:
                added[counter] = torch.zeros((), dtype=torch.long)
    return {**state, **added}


def describe(state):
    """Whose weights these are: ``("a ViT of width 768, depth 12 and patch 16", "vit_base_...")``.

    Returns:
        A phrase, and the name of a model that they would fit, or None.
    """
    names = "\n".join(state)
    if "mgff.align" in names:
        inner = {
            key.partition("backbone.model.")[2]: value
            for key, value in state.items()
            if "backbone.model." in key
        }
        text, name = describe(inner)
        return f"MGFF on {text}", name and f"mgff_{name}"
    for family in (_google, _swin, _vit, _resnet, _convnext):
        found = family(state, names)
        if found:
            return found
    if not state:
        return "no tensors", None
    key = min(state)
    return f"{len(state)} tensors such as {key} {tuple(state[key].shape)}", None


def _depths(names, pattern):
    """Blocks per stage, from the names that match ``pattern`` of stage and block."""
    depths = {}
    for stage, block in re.findall(pattern, names, re.MULTILINE):
        depths[int(stage)] = max(depths.get(int(stage), 0), int(block) + 1)
    return tuple(depths[stage] for stage in sorted(depths))


def _shape(state, ending):
    """Shape of the first tensor whose name ends so, or None."""
    return next((tuple(state[key].shape) for key in state if key.endswith(ending)), None)


def _google(state, names):
    depth = len(set(re.findall(r"encoderblock_(\d+)", names)))
    kernel = _shape(state, "embedding/kernel")
    if not depth or kernel is None:
        return None
    return _vit_words(kernel[3], depth, kernel[0], _shape(state, "pos_embedding"), "Google's ")


def _swin(state, names):
    pattern = r"(?:^|\.)layers\.(\d+)\.blocks\.(\d+)\.(?:attn|attention)\."
    depths = _depths(names, pattern)
    patches = _shape(state, "patch_embed.proj.weight") or _shape(
        state, "patch_embeddings.projection.weight"
    )
    if not depths or patches is None or len(patches) != 4:
        return None
    width, second = patches[0], "logit_scale" in names or "cpb_mlp" in names
    table = _shape(state, "relative_position_bias_table")
    size, name = SWINS.get((width, depths)), None
    if table is not None:
        window = (math.isqrt(table[0]) + 1) // 2
        if size:
            name = f"swin_{size}_patch4_window{window}_{32 * window}"
        elif width == 32:
            name = "swin_nano"
    kind = "SwinV2" if second else "Swin"
    if second and size:
        name = f"swinv2_{size}_window8_256" if size != "large" else "swinv2_large_window12_192"
    return f"a {kind} of width {width} and depths {depths}", name


def _vit(state, names):
    depth = len(set(re.findall(r"(?:^|\.)blocks\.(\d+)\.attn\.qkv\.weight", names, re.MULTILINE)))
    patches = _shape(state, "patch_embed.proj.weight")
    if not depth or patches is None or len(patches) != 4:
        return None
    if patches[0] == 128 and depth == 6:
        return "a ViT of width 128, depth 6 and patch 8", "vit_nano"
    return _vit_words(patches[0], depth, patches[2], _shape(state, "pos_embed"))


def _vit_words(width, depth, patch, positions, whose=""):
    text = f"{'a' if not whose else whose.strip() + ' names of a'} ViT"
    text = f"{text} of width {width}, depth {depth} and patch {patch}"
    name, size = VITS.get(width), None
    if positions is not None:
        side = math.isqrt(positions[-2])
        size = side * patch
        text += f", for {size} pixels"
    if not name:
        return text, None
    if patch == 14:
        return text, f"vit_{name}_patch14_dinov2"
    return text, f"vit_{name}_patch{patch}_{384 if size == 384 else 224}"


def _resnet(state, names):
    depths = _depths(names, r"(?:^|\.)layer(\d)\.(\d+)\.conv1\.weight")
    if not depths:
        return None
    deep = "layer1.0.conv3.weight" in names
    kind = "bottlenecks" if deep else "basic blocks"
    return f"a ResNet of {depths} {kind}", RESNETS.get((depths, deep))


def _convnext(state, names):
    depths = _depths(names, r"(?:^|\.)stages\.(\d+)\.blocks\.(\d+)\.conv_dw\.weight")
    stem = _shape(state, "stem.0.weight")
    if not depths or stem is None:
        return None
    size = CONVNEXTS.get((stem[0], depths))
    return f"a ConvNeXt of width {stem[0]} and depths {depths}", size and f"convnext_{size}"


def difference(state, own):
    """How a state dict differs from that of a model, in one clause, or None.

    Args:
        state, own: name -> tensor, of the file and of the model.
    """
    missing, extra = sorted(own.keys() - state.keys()), sorted(state.keys() - own.keys())
    shapes = [
        key for key in sorted(own.keys() & state.keys()) if own[key].shape != state[key].shape
    ]
    if not (missing or extra or shapes):
        return None
    parts = [
        f"{what} {len(keys)} ({', '.join(keys[:3])}{', ...' if len(keys) > 3 else ''})"
        for what, keys in (("missing", missing), ("unknown", extra))
        if keys
    ]
    if shapes:
        key = shapes[0]
        parts.append(
            f"{len(shapes)} of another shape ({key}: {tuple(state[key].shape)} in the file, "
            f"{tuple(own[key].shape)} in the model)"
        )
    return f"weights {'; '.join(parts)}"


def foreign(source, state, own, holds=None, given=None):
    """The one sentence for weights of another model.

    Args:
        source: what the sentence calls them. state, own: name -> tensor, of the file and the model.
        holds: what the file says of itself, such as ``"'swin_nano'"``.
        given: the file's weights as they were, where ``state`` has been translated.
    """
    (theirs, fits), (ours, _) = describe(state if given is None else given), describe(own)
    theirs = f"{holds} ({theirs})" if holds else theirs
    inner = {f"backbone.model.{key}" for key in state}
    if len(inner & own.keys()) > len(state) / 2:
        return (
            f"{source} holds {theirs}, the backbone alone; for MGFF on it use "
            "MGFFClassifier(backbone, pretrained=path)."
        )
    hint = f"; it would fit create_model({fits!r})" if fits and theirs != ours else ""
    return (
        f"{source} belongs to another model: it holds {theirs}, this one is {ours}: "
        f"{difference(state, own)}{hint}."
    )
