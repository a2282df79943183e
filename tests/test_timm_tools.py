"""What users of timm expect of a model: the weights they ask for, timm's helpers and
conventions."""

import json
import subprocess
import sys

import pytest
import timm
import torch
from timm.models import save_for_hf
from timm.models._features import FeatureListNet
from timm.optim import param_groups_layer_decay

from mgff_tutorial.backbones import build_backbone
from mgff_tutorial.mgff import MGFFClassifier
from mgff_tutorial.models import create_model
from mgff_tutorial.support.checkpoints import save_checkpoint
from mgff_tutorial.support.errors import CheckpointError, InputError
from mgff_tutorial.swin import swin_tiny_patch4_window7_224
from mgff_tutorial.training.config import load_config

NAMES = ["swin_nano", "vit_nano", "mgff_swin_nano", "mgff_resnet10t"]
SMALL = {name: {"img_size": 64} for name in ("mgff_resnet10t", "mgff_resnet18")}


def changed(model, seed=0):
    """The model with weights that no checkpoint has."""
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for p in model.parameters():
            p.add_(0.1 * torch.randn(p.shape, generator=generator))
    return model.eval()


def same(a, b):
    a, b = a.state_dict(), b.state_dict()
    return a.keys() == b.keys() and all(torch.equal(a[key], b[key]) for key in a)


# ---- weights that are asked for ----


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("build", [timm.create_model, create_model])
def test_saved_for_the_hub_and_read_from_a_folder(name, build, tmp_path):
    options = {"num_classes": 5, **SMALL.get(name, {})}
    model = changed(build(name, **options))
    extra = {"img_size": 64} if name in SMALL else {}
    save_for_hf(model, tmp_path, model_args=extra, safe_serialization=True)
    for make in (timm.create_model, create_model):
        again = make(f"local-dir:{tmp_path}", pretrained=True).eval()
        assert same(again, model) and again.num_classes == 5
        assert not same(make(f"local-dir:{tmp_path}"), model)  # untrained unless asked
        config = timm.data.resolve_data_config({}, model=again)
        expected = timm.data.resolve_data_config({}, model=model)
        assert [*config["mean"]] == [*expected["mean"]]
        assert [*config["input_size"]] == [*expected["input_size"]]
    fewer = timm.create_model(f"local-dir:{tmp_path}", pretrained=True, num_classes=3)
    first = next(iter(model.state_dict()))
    assert fewer.num_classes == 3 and torch.equal(
        fewer.state_dict()[first], model.state_dict()[first]
    )


def test_a_saved_model_is_known_in_another_process(tmp_path):
    save_for_hf(
        create_model("mgff_resnet10t", num_classes=2, img_size=64),
        tmp_path,
        model_args={"img_size": 64},
    )
    code = (
        "import sys, timm, mgff_tutorial; "
        "m = timm.create_model(f'local-dir:{sys.argv[1]}', pretrained=True); "
        "assert m.backbone.name == 'resnet10t' and m.num_classes == 2"
    )
    subprocess.run([sys.executable, "-c", code, str(tmp_path)], check=True, timeout=600)


@pytest.mark.parametrize("name", NAMES)
def test_a_file_in_the_overlay_is_the_file_that_is_read(name, tmp_path):
    model = changed(timm.create_model(name, num_classes=20, **SMALL.get(name, {})))
    path = tmp_path / "mine.safetensors"
    save_checkpoint(path, model, {})
    overlay = {"file": str(path), "num_classes": 20}
    for build in ({"pretrained_cfg_overlay": overlay}, {"pretrained_cfg": overlay}):
        cfg = dict(build)
        if "pretrained_cfg" in cfg:
            cfg = {"pretrained_cfg": {**model.pretrained_cfg, **overlay}}
        again = timm.create_model(name, pretrained=True, **cfg, **SMALL.get(name, {}))
        assert same(again, model)
        assert "state_dict" not in again.pretrained_cfg
    in_memory = {"state_dict": model.state_dict(), "num_classes": 20}
    again = timm.create_model(
        name, pretrained=True, pretrained_cfg_overlay=in_memory, **SMALL.get(name, {})
    )
    assert same(again, model)
    other = tmp_path / "other.safetensors"
    save_checkpoint(other, torch.nn.Linear(3, 3), {})
    with pytest.raises(CheckpointError, match="other.safetensors belongs to another model"):
        timm.create_model(
            name,
            pretrained=True,
            pretrained_cfg_overlay={"file": str(other)},
            **SMALL.get(name, {}),
        )
    with pytest.raises(CheckpointError, match="no such file"):
        timm.create_model(
            name,
            pretrained=True,
            pretrained_cfg_overlay={"file": str(tmp_path / "none")},
            **SMALL.get(name, {}),
        )


def test_a_checkpoint_path_is_loaded_by_timm(tmp_path):
    model = changed(create_model("mgff_swin_nano"))
    torch.save(model.state_dict(), tmp_path / "mine.pth")
    again = timm.create_model("mgff_swin_nano", checkpoint_path=str(tmp_path / "mine.pth"))
    assert same(again, model)
    for name in ("mgff_swin_nano", "swin_nano", "resnet10t"):
        with pytest.raises(InputError, match="checkpoint_path: weights come by pretrained"):
            create_model(name, checkpoint_path=str(tmp_path / "mine.pth"))


def test_without_a_source_the_packaged_weights_come():
    for name in ("swin_nano", "mgff_swin_nano"):
        assert same(
            timm.create_model(name, pretrained=True, num_classes=None),
            create_model(name, pretrained=True),
        )
        overlay = {"mean": (0.1, 0.2, 0.3)}
        model = timm.create_model(name, pretrained=True, pretrained_cfg_overlay=overlay)
        assert model.pretrained_cfg["mean"] == (0.1, 0.2, 0.3)
        assert same(model, create_model(name, pretrained=True))
    assert "swin_nano" in timm.list_models(pretrained=True)


@pytest.mark.parametrize("name", ["swin_nano", "vit_nano", "mgff_swin_nano", "mgff_resnet18"])
def test_a_tag_that_does_not_exist_is_refused(name):
    with pytest.raises(RuntimeError, match="Invalid pretrained tag .nonsense."):
        timm.create_model(f"{name}.nonsense", pretrained=True)
    with pytest.raises(InputError, match="Unknown tag"):
        create_model(f"{name}.nonsense", pretrained=True)


def test_tags_of_a_backbone_are_tags_of_mgff_on_it(monkeypatch):
    asked = []
    build = timm.create_model

    def note(name, pretrained=False, **options):
        asked.append((name, pretrained))
        return build(name, pretrained=False, **options)

    monkeypatch.setattr(timm, "create_model", note)
    model = build("mgff_resnet18.a1_in1k", pretrained=True, img_size=64)
    assert set(asked) == {("resnet18.a1_in1k", True)} and isinstance(model, MGFFClassifier)
    assert model.pretrained_cfg["architecture"] == "mgff_resnet18"


def test_without_a_network_the_hub_is_refused_in_one_sentence(monkeypatch):
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    overlay = {"hf_hub_id": "nobody/nothing", "file": None}
    with pytest.raises(CheckpointError, match="Pretrained weights of 'mgff_swin_nano' could not"):
        timm.create_model("mgff_swin_nano", pretrained=True, pretrained_cfg_overlay=overlay)


# ---- conventions ----


@pytest.mark.parametrize("name", ["swin_nano", "vit_nano", "mgff_swin_nano", "mgff_resnet18"])
@pytest.mark.parametrize("channels", [1, 4])
def test_other_channels_take_adapted_weights(name, channels):
    pretrained = name != "mgff_resnet18"
    model = create_model(name, pretrained=pretrained, in_chans=channels, **SMALL.get(name, {}))
    size = model.pretrained_cfg["input_size"]
    assert size[0] == channels
    assert model.eval()(torch.zeros(1, *size)).shape == (1, model.num_classes)
    if pretrained:
        three = create_model(name, pretrained=True)
        conv = model.pretrained_cfg["first_conv"] + ".weight"
        expected = timm.models.adapt_input_conv(channels, three.state_dict()[conv])
        torch.testing.assert_close(model.state_dict()[conv], expected)
    if name != "vit_nano":
        with pytest.raises(InputError, match=r"got \(1, 3, "):
            model(torch.zeros(1, 3, *size[1:]))


def test_features_only_gives_the_maps_before_merging():
    """timm's maps of our Swin equal those of timm's Swin with its weights; ours come after it."""
    theirs = timm.create_model("swin_tiny_patch4_window7_224", img_size=64, features_only=True)
    plain = timm.create_model("swin_tiny_patch4_window7_224", img_size=64)
    ours = swin_tiny_patch4_window7_224(img_size=64).eval()
    ours.load_state_dict(plain.state_dict())
    theirs.load_state_dict(
        {
            k.replace("layers.", "layers_"): v
            for k, v in plain.state_dict().items()
            if not k.startswith(("norm.", "head."))
        }
    )
    x = torch.randn(1, 3, 64, 64)
    with torch.no_grad():
        final, maps = ours.forward_intermediates(x)
        for mine, other in zip(maps, theirs.eval()(x)):
            torch.testing.assert_close(mine, other.permute(0, 3, 1, 2), atol=1e-5, rtol=0)
        torch.testing.assert_close(final, plain.eval().forward_features(x), atol=1e-5, rtol=0)
        wrapped = create_model("swin_tiny_patch4_window7_224", img_size=64, features_only=True)
        assert [m.shape for m in wrapped(x)] == [m.shape for m in theirs(x)]
    assert wrapped.feature_info.reduction() == [4, 8, 16, 32]
    assert wrapped.feature_info.channels() == theirs.feature_info.channels()
    assert [m.shape[2] for m in maps] == [16, 8, 4, 2]
    assert [m.shape[2] for m in ours.feature_maps(x)] == [8, 4, 2, 2]


def test_intermediates_can_be_chosen():
    model = create_model("swin_nano").eval()
    x = torch.randn(1, 3, 96, 96)
    final, maps = model.forward_intermediates(x, norm=True)
    assert torch.equal(maps[-1].permute(0, 2, 3, 1), final)
    one = model.forward_intermediates(x, [1], stop_early=True, intermediates_only=True)
    assert torch.equal(one[0], maps[1])
    last = model.forward_intermediates(x, 2, output_fmt="NHWC", intermediates_only=True)
    assert torch.equal(last[0].permute(0, 3, 1, 2), maps[2]) and len(last) == 2
    with pytest.raises(InputError, match="output_fmt"):
        model.forward_intermediates(x, output_fmt="NLC")


@pytest.mark.parametrize("build", [timm.create_model, create_model])
def test_features_only_of_the_nano_models(build):
    x = torch.randn(1, 3, 96, 96)
    swin = build("swin_nano", features_only=True, pretrained=True, out_indices=(1, 3))
    assert isinstance(swin, FeatureListNet) and [m.shape[-1] for m in swin(x)] == [64, 256]
    trained = create_model("swin_nano", pretrained=True)
    assert torch.equal(swin["patch_embed"].proj.weight, trained.patch_embed.proj.weight)
    vit = build("vit_nano", features_only=True, img_size=96)
    assert [tuple(m.shape[1:]) for m in vit(x)] == [(128, 12, 12)] * 3
    with pytest.raises(InputError, match="create_model.'swin_nano', features_only=True"):
        build("mgff_swin_nano", features_only=True)


@pytest.mark.parametrize("name", ["swin_nano", "vit_nano", *NAMES[2:], "mgff_convnext_atto"])
def test_classifier_and_pooling_can_go(name):
    size = {"img_size": 64} if name.startswith("mgff_") and "nano" not in name else {}
    model = timm.create_model(name, **size).eval()
    x = torch.randn(2, *model.pretrained_cfg["input_size"])
    assert model.get_classifier().out_features == model.num_classes
    features = model.forward_features(x)
    pooled = model.forward_head(features, pre_logits=True)
    model.reset_classifier(0)
    assert torch.equal(model(x), pooled) and pooled.shape == (2, model.head_hidden_size)
    model.reset_classifier(0, "")
    assert torch.equal(model(x), features)
    bare = timm.create_model(name, num_classes=0, global_pool="", **size).eval()
    assert bare(x).shape == features.shape
    model.reset_classifier(7, "avg" if name != "vit_nano" else "token")
    assert model(x).shape == (2, 7)


def test_another_image_size_takes_interpolated_weights():
    trained = create_model("swin_nano", pretrained=True)
    larger = create_model("swin_nano", pretrained=True, img_size=192)
    table = "layers.2.blocks.0.attn.relative_position_bias_table"
    assert larger.state_dict()[table].shape == trained.state_dict()[table].shape  # 12 > 6: whole
    small = create_model("swin_nano", pretrained=True, img_size=48)
    assert small.state_dict()[table].shape[0] == 25  # a window of 3
    vit = timm.create_model("vit_nano", pretrained=True, img_size=64)
    assert vit.pos_embed.shape[1] == 1 + 8 * 8
    with pytest.raises(InputError, match="build it again with img_size"):
        create_model("mgff_swin_nano").set_input_size(192)


def test_layer_decay_works_without_patterns_of_the_backbone():
    model = create_model("mgff_poolformer_s12", num_classes=2, img_size=64)
    groups = param_groups_layer_decay(model, layer_decay=0.5)
    assert sum(len(g["params"]) for g in groups) == len(list(model.parameters()))
    assert len({g["lr_scale"] for g in groups}) > 1


# ---- backbones from anywhere ----


class Pyramid(torch.nn.Module):
    """Four maps from one convolution each, as a list, a tuple or a dict."""

    def __init__(self, kind=list, channels=3):
        super().__init__()
        widths = (channels, 8, 16, 32, 32)
        self.convs = torch.nn.ModuleList(
            [torch.nn.Conv2d(a, b, 2, 2) for a, b in zip(widths, widths[1:])]
        )
        self.kind = kind

    def forward(self, x):
        maps = []
        for conv in self.convs:
            maps.append(x := conv(x))
        return self.kind(maps)


def named(maps):
    return {f"map {i}": m for i, m in enumerate(maps)}


@pytest.mark.parametrize("kind", [list, tuple, named])
def test_any_module_with_four_maps_is_a_backbone(kind):
    model = MGFFClassifier(Pyramid(kind, channels=1), num_classes=3, img_size=32)
    assert model.backbone.grids == ((16, 16), (8, 8), (4, 4), (2, 2))
    assert all(type(side) is int for grid in model.backbone.grids for side in grid)
    model(torch.randn(2, 1, 32, 32)).sum().backward()
    assert model(torch.randn(2, 1, 32, 32)).shape == (2, 3)
    groups = param_groups_layer_decay(model, layer_decay=0.5)
    assert sum(len(g["params"]) for g in groups) == len(list(model.parameters()))


def test_models_of_torchvision():
    from torchvision.models import resnet18
    from torchvision.models.feature_extraction import create_feature_extractor

    nodes = {f"layer{i}": str(i) for i in range(1, 5)}
    model = MGFFClassifier(create_feature_extractor(resnet18(), nodes), num_classes=3, img_size=64)
    assert model.eval()(torch.randn(1, 3, 64, 64)).shape == (1, 3)
    with pytest.raises(InputError, match="gives Tensor; see .*create_feature_extractor"):
        MGFFClassifier(resnet18(), img_size=64)


@pytest.mark.parametrize("name", ["crossvit_9_240", "coat_tiny"])
def test_timm_models_without_maps_get_one_sentence(name):
    with pytest.raises(InputError, match="gives no feature maps") as caught:
        build_backbone(name)
    assert "\n" not in str(caught.value)


def test_one_channel():
    model = MGFFClassifier("resnet10t", num_classes=2, img_size=64, in_chans=1)
    assert model(torch.randn(2, 1, 64, 64)).shape == (2, 2)
    ready = timm.create_model("resnet10t", in_chans=1)
    assert build_backbone(ready, 64).in_chans == 1
    with pytest.raises(InputError, match=r"images must have shape \(B, 1, 64, 64\)"):
        model(torch.randn(1, 3, 64, 64))


def test_card_of_a_checkpoint_may_not_name_other_files(tmp_path):
    from mgff_tutorial.models import build_from_checkpoint

    path = tmp_path / "card.safetensors"
    for kwargs, words in (
        ({"checkpoint_path": "evil.pth"}, "checkpoint_path: weights come by pretrained"),
        ({"pretrained_cfg": {"file": "evil.pth"}}, "pretrained_cfg: weights come"),
        ({"pretrained_cfg_overlay": {"file": "evil.pth"}}, "pretrained_cfg_overlay: weights come"),
        ({"cache_dir": "x"}, "cache_dir: weights come"),
        ({"norm_layer": "os.system"}, "Unknown .*model option 'norm_layer'"),
    ):
        for name in ("swin_nano", "mgff_swin_nano", "resnet10t"):
            save_checkpoint(
                path, create_model("swin_nano"), {"model": name, "kwargs": kwargs, "classes": ["a"]}
            )
            with pytest.raises(InputError, match=words):
                build_from_checkpoint(path)
            if name != "resnet10t":
                with pytest.raises(InputError, match=words):
                    create_model(name, pretrained=path)


def test_cfg_is_what_json_can_hold():
    for name in NAMES:
        json.dumps(create_model(name, **SMALL.get(name, {})).pretrained_cfg)


def test_a_recipe_may_not_name_other_files(tmp_path):
    path = tmp_path / "recipe.yaml"
    for line, words in (
        ("checkpoint_path: evil.pth", "checkpoint_path: weights come by pretrained"),
        ("pretrained_cfg: {file: evil.pth}", "pretrained_cfg: weights come"),
        ("cache_dir: x", "cache_dir: weights come"),
        ("act_layer: os.system", "Unknown .*model option 'act_layer'"),
    ):
        path.write_text(f"model: resnet10t\nmodel_kwargs:\n  {line}\n")
        with pytest.raises(InputError, match=words):
            load_config(path)
    path.write_text("model_kwargs:\n  preset: literal\n  granularities: [0, 3]\n")
    assert load_config(path).model_kwargs["preset"] == "literal"


def test_a_name_has_one_size_with_and_without_weights():
    """So that timm's scripts read what they wrote."""
    for name in ("swin_nano", "vit_nano", "mgff_swin_nano"):
        trained, fresh = timm.create_model(name, pretrained=True), timm.create_model(name)
        shapes = [
            {k: v.shape for k, v in m.state_dict().items() if "head" not in k}
            for m in (trained, fresh)
        ]
        assert shapes[0] == shapes[1]
        assert trained.pretrained_cfg["input_size"] == fresh.pretrained_cfg["input_size"]
    model = timm.create_model("mgff_vit_nano", pretrained=True, num_classes=2)
    own = create_model("vit_nano", pretrained=True, img_size=96)
    weight = model.backbone.model.blocks[0].attn.qkv.weight
    assert torch.equal(weight, own.blocks[0].attn.qkv.weight)
