"""What `benchmark` compares: one Swin in several people's code, and the systems that stand on
it.
"""

from dataclasses import dataclass


@dataclass(frozen=True)
class Case:
    """A Swin to measure, and the ViT that points in its two-stage system."""

    swin: str
    size: int
    batch: int
    vit: str
    torchvision: str | None = None


CASES = {
    "swin_nano": Case("swin_nano", 96, 8, "vit_nano"),
    "swin_tiny": Case("swin_tiny_patch4_window7_224", 224, 8, "vit_small_patch16_224", "swin_t"),
    "swin_base": Case("swin_base_patch4_window12_384", 384, 2, "vit_small_patch16_224"),
}


def swin_versions(case, classes=100):
    """{version: model} of one Swin with the same weights: ours, timm's two ways of attention,
    torchvision's.
    """
    import timm
    from timm.models.swin_transformer import SwinTransformer as TimmSwin
    from timm.models.swin_transformer import WindowAttention

    from .. import swin

    options = dict(num_classes=classes, img_size=case.size, drop_path_rate=0.0)
    nano = dict(window_size=6, embed_dim=32, depths=(2, 2, 2, 1), num_heads=(1, 2, 4, 8))
    ours = getattr(swin, case.swin)(**options)
    versions = {"ours": ours}
    for label in ("timm", "timm fused"):
        if case.swin == "swin_nano":
            model = TimmSwin(**options, **nano)
        else:
            model = timm.create_model(case.swin, **options)
        for module in model.modules():
            if isinstance(module, WindowAttention):  # timm fuses it only when asked to
                module.fused_attn |= label == "timm fused"
        model.load_state_dict(ours.state_dict())
        versions[label] = model
    if case.torchvision:
        versions["torchvision"] = torchvision_swin(case.torchvision, ours)
    return versions


def torchvision_swin(name, ours):
    """torchvision's Swin filled with our weights: the same tensors under other names."""
    import torchvision

    model = getattr(torchvision.models, name)(num_classes=ours.num_classes)
    for module in model.modules():
        if isinstance(module, torchvision.ops.StochasticDepth):
            module.p = 0.0
    stem, *stages = model.features
    pairs = [
        (stem[0], ours.patch_embed.proj),
        (stem[2], ours.patch_embed.norm),
        (model.norm, ours.norm),
        (model.head, ours.head.fc),
        *zip(stages[1::2], [stage.downsample for stage in ours.layers[1:]]),
    ]
    for theirs, stage in zip(stages[::2], ours.layers):
        for there, here in zip(theirs, stage.blocks):
            pairs += [(getattr(there, n), getattr(here, n)) for n in ("norm1", "norm2", "attn")]
            pairs += [(there.mlp[0], here.mlp.fc1), (there.mlp[3], here.mlp.fc2)]
    for there, here in pairs:
        state = there.state_dict()
        index = {key: state[key] for key in ("relative_position_index",) if key in state}
        there.load_state_dict(index | here.state_dict())
    return model


def system_versions(case, classes=100):
    """{version: model} of what stands on our Swin: the MGFF classifier, and the two stages with a
    frozen ViT.
    """
    from .. import MGFFClassifier, TwoStageClassifier, ViTCropper, create_model

    classifier = MGFFClassifier(
        case.swin, num_classes=classes, img_size=case.size, drop_path_rate=0.0
    )
    vit = create_model(case.vit)
    return {"MGFF": classifier, "two stages": TwoStageClassifier(classifier, ViTCropper(vit))}
