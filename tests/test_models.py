"""Models by name, in our own function and in timm's registry."""

import subprocess
import sys

import pytest
import timm
import torch

import mgff_tutorial
from mgff_tutorial.mgff import MGFFClassifier
from mgff_tutorial.models import create_model
from mgff_tutorial.support.checkpoints import save_checkpoint
from mgff_tutorial.support.errors import CheckpointError, InputError
from mgff_tutorial.swin import BUILDERS, SwinTransformer


def test_names_give_the_right_kind_of_model():
    swin, vit = create_model("swin_nano"), create_model("vit_nano")
    assert isinstance(swin, SwinTransformer) and swin.num_classes == 20
    assert isinstance(vit, timm.models.vision_transformer.VisionTransformer)
    assert (
        len(vit.blocks),
        vit.embed_dim,
        vit.blocks[0].attn.num_heads,
        vit.patch_embed.patch_size,
    ) == (6, 128, 4, (8, 8))
    assert vit(torch.zeros(1, 3, 96, 96)).shape == swin(torch.zeros(1, 3, 96, 96)).shape == (1, 20)
    mgff = create_model("mgff_swin_nano", num_classes=4, preset="literal")
    assert isinstance(mgff, MGFFClassifier) and mgff.num_classes == 4 and mgff.preset == "literal"
    assert create_model("mgff_resnet10t", num_classes=4, img_size=64).backbone.name == "resnet10t"
    assert type(create_model("resnet10t", num_classes=3)).__module__.startswith("timm.")
    with torch.device("meta"):
        ours = create_model("swin_tiny_patch4_window7_224")
    assert isinstance(ours, SwinTransformer) and ours.num_classes == 1000
    with pytest.raises(InputError, match=r"create_model\(.swin_nano., pretrained=...\)"):
        BUILDERS["swin_nano"](pretrained=True)


def test_timm_knows_them():
    known = set(timm.list_models("mgff_*"))
    assert {f"mgff_{name}" for name in (*BUILDERS, "vit_nano", "resnet50", "convnext_atto")} < known
    model = timm.create_model("mgff_swin_nano", num_classes=3, drop_rate=0.1)
    assert isinstance(model, MGFFClassifier) and model.drop_rate == 0.1
    config = timm.data.resolve_data_config({}, model=model)
    assert config["input_size"] == (3, 96, 96) and config["mean"] == (0.5, 0.5, 0.5)
    assert not isinstance(
        timm.create_model("swin_tiny_patch4_window7_224", num_classes=2), SwinTransformer
    )


def test_import_registers_and_stays_light():
    code = (
        "import sys, mgff_tutorial, timm; assert "
        "timm.is_model('mgff_swin_base_patch4_window12_384'); "
        "heavy = {'matplotlib', 'pandas', 'seaborn', 'accelerate', 'scipy'} & set(sys.modules); "
        "assert not heavy, heavy; assert mgff_tutorial.create_model is not None"
    )
    subprocess.run([sys.executable, "-c", code], check=True, timeout=600)


def test_every_public_name_is_there():
    for name in ("SwinTransformer", "MGFF", "MGFFClassifier", "create_model"):
        assert getattr(mgff_tutorial, name).__name__ == name


@pytest.mark.parametrize(
    "name, words",
    [
        ("swin_nona", "Unknown model 'swin_nona'; did you mean 'swin_nano'"),
        ("mgff_resnet1000", "Unknown backbone 'resnet1000'"),
        ("", "Unknown model ''"),
        (None, "name must be a string such as 'mgff_swin_nano', got NoneType"),
    ],
)
def test_unknown_names(name, words):
    with pytest.raises(InputError, match=words):
        create_model(name)


@pytest.mark.parametrize("name", ["swin_nano", "vit_nano", "mgff_swin_nano"])
def test_checkpoints_load_by_path(name, tmp_path):
    torch.manual_seed(0)
    model = create_model(name, num_classes=3).eval()
    path = tmp_path / "weights.safetensors"
    save_checkpoint(path, model, {"model": name, "kwargs": {}, "classes": ["a", "b", "c"]})
    x = torch.randn(2, 3, 96, 96)
    again = create_model(name, pretrained=path).eval()
    assert (
        again.num_classes == 3
        and torch.equal(again(x), model(x))
        and again.card["classes"] == ["a", "b", "c"]
    )
    other = create_model(name, pretrained=str(path), num_classes=5).eval()
    assert other(x).shape == (2, 5)
    torch.testing.assert_close(other.forward_features(x), model.forward_features(x))


def test_backbone_of_mgff_loads_a_checkpoint_of_another_head(tmp_path):
    swin = create_model("swin_nano", num_classes=31).eval()
    path = tmp_path / "swin.safetensors"
    save_checkpoint(path, swin, {"model": "swin_nano", "classes": [str(i) for i in range(31)]})
    model = MGFFClassifier("swin_nano", num_classes=4, pretrained=path).eval()
    x = torch.randn(1, 3, 96, 96)
    torch.testing.assert_close(model.backbone.feature_maps(x)[-1], swin.feature_maps(x)[-1])


def test_weights_of_another_model_are_refused(tmp_path):
    path = tmp_path / "vit.safetensors"
    save_checkpoint(
        path,
        create_model("vit_nano", num_classes=3),
        {"model": "vit_nano", "classes": ["a", "b", "c"]},
    )
    for name in ("swin_nano", "mgff_swin_nano"):
        with pytest.raises(CheckpointError, match="vit.safetensors"):
            create_model(name, pretrained=path)
    with pytest.raises(CheckpointError, match="no such file"):
        create_model("vit_nano", pretrained=tmp_path / "none.safetensors")


@pytest.mark.parametrize("name", ["vit_nano", "swin_nano", "mgff_swin_nano"])
def test_embedded_checkpoints_that_are_missing_or_old_say_how_to_get_them_back(
    name, tmp_path, monkeypatch
):
    monkeypatch.setattr("mgff_tutorial.support.checkpoints.checkpoints_dir", lambda: tmp_path)
    with pytest.raises(
        CheckpointError, match=f"{name}.*no such file.*git checkout -- data/checkpoints"
    ):
        create_model(name, pretrained=True)
    old = create_model("vit_nano", depth=2)  # as an earlier version might have built it
    save_checkpoint(tmp_path / f"{name}.safetensors", old, {"model": name, "classes": ["a"]})
    with pytest.raises(CheckpointError, match="another model.*git checkout -- data/checkpoints"):
        create_model(name, pretrained=True)


@pytest.mark.parametrize("name", ["resnet10t", "mgff_resnet10t"])
def test_without_a_network_one_sentence_says_so(name, monkeypatch):
    import timm

    build = timm.create_model

    def offline(name, pretrained=False, **options):
        if pretrained:
            raise FileNotFoundError("Cannot reach the hub.\nA page of advice.")
        return build(name, pretrained=False, **options)

    monkeypatch.setattr(timm, "create_model", offline)
    with pytest.raises(
        CheckpointError,
        match=r"resnet10t.*Cannot reach the hub\.\); connect to the network once, or",
    ):
        create_model(name, pretrained=True)


def test_the_embedded_vit_looks_at_larger_pictures_than_it_was_pretrained_on():
    from mgff_tutorial.pretrained import LOOK

    vit, small = (
        create_model("vit_nano", pretrained=True),
        create_model("vit_nano", pretrained=True, img_size=96),
    )
    assert vit.patch_embed.img_size == (LOOK, LOOK) and vit.pretrained_cfg["input_size"] == (
        3,
        LOOK,
        LOOK,
    )
    assert small.patch_embed.img_size == (96, 96) and small.pos_embed.shape[1] == 1 + 12 * 12
    assert torch.equal(vit.blocks[0].attn.qkv.weight, small.blocks[0].attn.qkv.weight)
    assert vit(torch.zeros(1, 3, LOOK, LOOK)).shape == small(torch.zeros(1, 3, 96, 96)).shape
    assert create_model("vit_nano", pretrained=True, img_size=(96, 48)).patch_embed.grid_size == (
        12,
        6,
    )
    for size in (0, 7):
        with pytest.raises(InputError, match="img_size"):
            create_model("vit_nano", pretrained=True, img_size=size)
