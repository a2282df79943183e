"""What a Swin model needs besides its layers: a check of its options, and the facts that timm's
tools ask for.
"""

from .support.errors import InputError, check_number


def check_options(
    in_chans, num_classes, global_pool, embed_dim, depths, num_heads, mlp_ratio, **dropout
):
    """Fail in one sentence if the options of a `SwinTransformer` do not fit together; ``dropout``:
    rates by name.
    """
    for name, values, least in (("depths", depths, 0), ("num_heads", num_heads, 1)):
        if not isinstance(values, (tuple, list)):
            raise InputError(f"{name} must be a tuple with one integer a stage, got {values!r}.")
        for value in values:
            check_number(f"every one of {name}", value, least, whole=True)
    check_number("embed_dim", embed_dim, 1, whole=True)
    check_number("mlp_ratio", mlp_ratio, 1 / embed_dim)
    for name, rate in dropout.items():
        check_number(name, rate, 0, 1)
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
    check_number("num_classes", num_classes, 0, whole=True)
    check_number("in_chans", in_chans, 1, whole=True)
    if global_pool not in ("avg", ""):
        raise InputError(f"global_pool must be 'avg' or '', got {global_pool!r}.")


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
        "fixed_input_size": False,
        "pool_size": tuple(-(-s // 32) for s in img_size),
        "first_conv": "patch_embed.proj",
        "classifier": "head.fc",
    }
