"""Backbones as four feature maps: shapes read from the model, and a head that pools as the model
itself does.
"""

import pytest
import timm
import torch

from mgff_tutorial.backbones import build_backbone
from mgff_tutorial.support.errors import CheckpointError, InputError
from mgff_tutorial.swin import swin_nano

SMALL = [
    ("swin_nano", 96),
    ("resnet10t", 64),
    ("convnext_atto", 64),
    ("efficientnet_b0", 64),
    ("mobilenetv3_small_050", 64),
    ("vit_tiny_patch16_224", 64),
    ("regnetx_002", 65),
    ("deit_tiny_distilled_patch16_224", (32, 48)),
    ("swinv2_cr_tiny_ns_224", 64),
]


def images(size, batch=2):
    size = (size, size) if isinstance(size, int) else size
    return torch.randn(batch, 3, *size, generator=torch.Generator().manual_seed(0))


@pytest.mark.parametrize("name, size", SMALL)
def test_maps_have_the_shapes_that_were_read_and_pooling_is_the_models_own(name, size):
    backbone = build_backbone(name, size).eval()
    x = images(size)
    with torch.no_grad():
        maps, final = backbone.forward_features(x)
        pooled, own = backbone.pool(final), backbone.model(x)
    assert [tuple(m.shape) for m in maps] == [
        (2, c, *g) for c, g in zip(backbone.channels, backbone.grids)
    ]
    areas = [h * w for h, w in backbone.grids]
    assert areas == sorted(areas, reverse=True)
    assert torch.equal(pooled, own)
    assert pooled.shape[1] == backbone.embed_dim


def test_swin_gives_the_maps_after_merging():
    with torch.device("meta"):
        backbone = build_backbone("swin_base_patch4_window12_384")
    assert backbone.channels == (256, 512, 1024, 1024)
    assert backbone.grids == ((48, 48), (24, 24), (12, 12), (12, 12))
    nano = build_backbone("swin_nano")
    assert nano.channels == (64, 128, 256, 256) and nano.grids == ((12, 12), (6, 6), (3, 3), (3, 3))


def test_last_map_is_what_the_classifier_sees():
    lite = build_backbone("tf_efficientnet_lite0", 64)
    assert lite.channels == (40, 112, 320, 1280) and lite.grids == ((8, 8), (4, 4), (2, 2), (2, 2))
    assert build_backbone("tf_efficientnet_lite0", 64, last_map="stage").channels == (
        24,
        40,
        112,
        320,
    )
    vit = build_backbone("vit_tiny_patch16_224", 64).eval()
    with torch.no_grad():
        maps, final = vit.forward_features(images(64))
        torch.testing.assert_close(
            maps[-1].flatten(2).mT, vit.model.forward_features(images(64))[:, 1:]
        )
    assert not torch.allclose(maps[-2], maps[-1])
    swin, bare = (
        build_backbone("swin_nano").eval(),
        build_backbone("swin_nano", last_map="stage").eval(),
    )
    bare.load_state_dict(swin.state_dict(), strict=False)
    with torch.no_grad():
        last = bare.feature_maps(images(96))[-1]
        normed = swin.model.norm(last.permute(0, 2, 3, 1)).permute(0, 3, 1, 2)
        torch.testing.assert_close(normed, swin.feature_maps(images(96))[-1])


@pytest.mark.parametrize("name", ["swin_nano", "convnext_atto", "vit_tiny_patch16_224"])
def test_adding_to_every_position_is_adding_to_the_mean(name):
    backbone = build_backbone(name, 96).eval()
    with torch.no_grad():
        maps, final = backbone.forward_features(images(96))
        update = torch.randn(2, maps[-1].shape[1])
        changed = backbone.add(final, update)
        mean = (
            backbone._as_map(changed).mean((2, 3)) if name != "swin_nano" else changed.mean((1, 2))
        )
        torch.testing.assert_close(mean, maps[-1].mean((2, 3)) + update, atol=1e-5, rtol=1e-5)
    assert torch.equal(backbone.add(final, torch.zeros_like(update)), final)


def test_non_square_images_and_ready_models():
    vit = build_backbone("vit_tiny_patch16_224", (64, 96))
    assert vit.grids == ((4, 6),) * 4
    assert build_backbone(timm.create_model("resnet10t", num_classes=7), (70, 33)).grids[-1] == (
        3,
        2,
    )
    own = build_backbone(swin_nano(num_classes=5))
    assert own.embed_dim == 256 and own.img_size == (96, 96)


def test_freezing_what_no_map_depends_on():
    backbone = build_backbone("convnext_atto", 64, last_map="stage")
    backbone.freeze_unused()
    assert [n for n, p in backbone.named_parameters() if not p.requires_grad] == [
        "model.head.norm.weight",
        "model.head.norm.bias",
    ]
    nano = build_backbone("swin_nano", last_map="stage")
    nano.freeze_unused()
    assert all(p.requires_grad for p in nano.parameters())


@pytest.mark.parametrize(
    "name, size, words",
    [
        ("resnet_18", 64, "Unknown backbone 'resnet_18'; did you mean"),
        (17, 64, "Unknown backbone 17"),
        (
            "pit_ti_224",
            224,
            r"(?i)backbone 'pit_ti_224'.* gives (grids|no feature maps)",
        ),  # older timm: none at all
        ("vit_tiny_patch16_224", 8, "does not accept images of 8 x 8 pixels: "),
        ("resnet10t", 0, "img_size must be a positive integer"),
        ("resnet10t", (64, 64, 3), "img_size must be a positive integer"),
    ],
)
def test_bad_names_and_sizes_get_one_sentence(name, size, words):
    with pytest.raises(InputError, match=words):
        backbone = build_backbone(name, size)
        raise AssertionError(f"accepted, with grids {backbone.grids}")


def test_bad_last_map_and_weights():
    with pytest.raises(InputError, match="last_map must be 'classifier' or 'stage', got 'bare'"):
        build_backbone("swin_nano", last_map="bare")
    with pytest.raises(CheckpointError, match="no such file"):
        build_backbone("resnet10t", 64, pretrained="nowhere.safetensors")
