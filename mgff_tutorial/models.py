"""One name, one model: our Swins, the small models of the tutorial, MGFF on any backbone, and
everything in timm.

Importing this module registers MGFF models with timm, so that
``timm.create_model("mgff_resnet50")`` and the tools built on it find them. What a name needs is
imported when the model is built.
"""

from timm.models import is_model, list_models, register_model

from .patches import to_pair
from .support.errors import InputError, no_weights, unknown_name

SWINS = (
    "swin_tiny_patch4_window7_224",
    "swin_small_patch4_window7_224",
    "swin_base_patch4_window7_224",
    "swin_base_patch4_window12_384",
    "swin_base_patch4_window7_224_in22k",
    "swin_base_patch4_window12_384_in22k",
    "swin_large_patch4_window7_224_in22k",
    "swin_large_patch4_window12_384_in22k",
)
LOOK = 192  # side of the pictures in which the pretrained vit_nano looks for objects
NANO = ("swin_nano", "vit_nano", "mgff_swin_nano")
# Backbones whose MGFF model timm lists; `create_model` takes "mgff_" before any other backbone name
# as well.
REGISTERED = (
    *SWINS,
    "swin_nano",
    "vit_nano",
    "resnet50",
    "convnext_tiny",
    "efficientnet_b0",
    "tf_efficientnet_lite0",
    "vit_small_patch16_224",
    "vit_base_patch16_224",
    "vit_small_patch14_dinov2",
)


def create_model(name, pretrained=False, **kwargs):
    """Build a model by name.

    Args:
        name: ``"swin_nano"``, ``"vit_nano"``, ``"mgff_swin_nano"``; the eight Swins of our own
            code; ``"mgff_<backbone>"``; or any timm name.
        pretrained: for the nano models, True reads the checkpoint that travels with this package;
            for ``"mgff_<backbone>"`` True takes published weights of the backbone (MGFF and
            classifier start fresh); otherwise it is timm's. A path loads that file into the whole
            model; where it holds another number of classes, that is a `CheckpointError`.
        **kwargs: ``num_classes``, ``img_size``, and what the model's builder accepts.

    Raises:
        InputError: unknown name or options.
        CheckpointError: weights that can't be had or don't fit.
    """
    if not isinstance(name, str):
        raise InputError(
            f"name must be a string such as 'mgff_swin_nano', got {type(name).__name__}."
        )
    kwargs = {key: value for key, value in kwargs.items() if value is not None}  # as timm does
    if name.startswith("mgff_"):
        return _mgff(name, pretrained, kwargs)
    if name == "vit_nano":
        return _vit_nano(pretrained, kwargs)
    if name == "swin_nano" or name in SWINS:
        from . import swin

        if name == "swin_nano":
            return _whole(swin.swin_nano, name, pretrained, kwargs)
        return getattr(swin, name)(pretrained=pretrained, **kwargs)
    if not is_model(name):
        raise unknown_name(
            "model", name, [*NANO, *SWINS, *(f"mgff_{n}" for n in REGISTERED), *list_models()]
        )
    import timm

    try:
        if isinstance(pretrained, bool):
            return timm.create_model(name, pretrained=pretrained, **kwargs)
        model = timm.create_model(name, **kwargs)
    except (OSError, RuntimeError) as error:
        if "Invalid pretrained tag" in str(error):
            raise InputError(
                f"Unknown model {name!r}: {name.partition('.')[0]!r} has no weights of that "
                f"tag; leave "
                "the tag out."
            ) from None
        if pretrained is not True:
            raise
        raise no_weights(name, error) from error
    return _load(model, pretrained)


def _vit_nano(pretrained, kwargs):
    """The ViT at the size that its weights have, then at the size at which it is to look."""
    size = kwargs.pop("img_size", None)
    if pretrained is False:
        return vit_nano(**kwargs) if size is None else vit_nano(img_size=size, **kwargs)
    model = _whole(vit_nano, "vit_nano", pretrained, kwargs)
    size = to_pair(
        (LOOK if pretrained is True else model.patch_embed.img_size) if size is None else size,
        "img_size",
    )
    if min(size) < 8:
        raise InputError(f"img_size must be at least one patch of 8 pixels, got {size}.")
    model.set_input_size(img_size=size)  # timm resamples the position embeddings
    model.pretrained_cfg["input_size"] = (3, *size)
    return model


def vit_nano(num_classes=20, img_size=96, **options):
    """The small ViT of this tutorial, timm's `VisionTransformer`: patch 8, width 128, 6 layers of 4
    heads.

    Pretrained at 96 x 96; with ``create_model("vit_nano", pretrained=True)`` it looks at `LOOK`
    pixels, where its boxes are sharper.
    """
    from timm.models.vision_transformer import VisionTransformer

    settings = dict(
        img_size=img_size,
        patch_size=8,
        embed_dim=128,
        depth=6,
        num_heads=4,
        num_classes=num_classes,
    )
    model = VisionTransformer(**{**settings, **options})
    side = model.patch_embed.img_size
    model.pretrained_cfg = model.default_cfg = {
        "architecture": "vit_nano",
        "input_size": (3, *side),
        "num_classes": num_classes,
        "mean": (0.5,) * 3,
        "std": (0.5,) * 3,
        "interpolation": "bicubic",
        "crop_pct": 1.0,
        "fixed_input_size": True,
        "first_conv": "patch_embed.proj",
        "classifier": "head",
        "response_rule": "attended_object_values",
    }
    return model


def _mgff(name, pretrained, kwargs):
    from .mgff import MGFFClassifier

    backbone = name.removeprefix("mgff_")
    if backbone == "swin_nano":

        def build(num_classes=20, img_size=96, **options):
            return MGFFClassifier(backbone, num_classes, img_size, **options)

        return _whole(build, name, pretrained, kwargs)
    if isinstance(pretrained, bool):
        return MGFFClassifier(backbone, pretrained=pretrained, **kwargs)
    return _load(MGFFClassifier(backbone, **kwargs), pretrained)


def _whole(build, name, pretrained, kwargs):
    """Build a nano model; with ``pretrained`` its classes are those of the checkpoint unless the
    caller says else.
    """
    if pretrained is False:
        return build(**kwargs)
    from .support.checkpoints import embedded, read_metadata

    if pretrained is True:
        with embedded(name) as path:
            return _whole(build, name, path, kwargs)
    card = read_metadata(pretrained)
    count = len(card.get("classes") or ()) or kwargs.get("num_classes")
    wanted = kwargs.pop("num_classes", None)
    options = {**(card.get("kwargs") or {}), **kwargs}
    options.pop("num_classes", None)
    model = _load(build(**options, **({} if count is None else {"num_classes": count})), pretrained)
    if wanted not in (None, count):
        model.reset_classifier(wanted)  # another number of classes: the old head is of no use
    return model


def _load(model, path):
    from .support.checkpoints import load_into

    model.card = load_into(model, path)
    return model


def _register(name):
    def build(
        pretrained=False, pretrained_cfg=None, pretrained_cfg_overlay=None, cache_dir=None, **kwargs
    ):
        return create_model(name, pretrained=pretrained, **kwargs)

    build.__name__ = build.__qualname__ = name
    build.__doc__ = f"``create_model({name!r})``, for timm's registry."
    build.__module__ = __name__
    register_model(build)


for _name in ("swin_nano", "vit_nano", *(f"mgff_{backbone}" for backbone in REGISTERED)):
    if not is_model(_name):
        _register(_name)
