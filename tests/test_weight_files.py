"""Weight files as they circulate: names, wrappers, prefixes and sizes of other projects are fitted,
files of other models are refused in one sentence that says whose they are.
"""

import argparse
import os
import re

import numpy as np
import pytest
import timm
import torch
from safetensors.torch import save_file

from mgff_tutorial.mgff import MGFFClassifier
from mgff_tutorial.models import create_model
from mgff_tutorial.pretrained import fill, plain_model
from mgff_tutorial.support.checkpoints import read_checkpoint, save_checkpoint
from mgff_tutorial.support.errors import CheckpointError, InputError
from mgff_tutorial.support.state_dicts import describe
from mgff_tutorial.swin import BUILDERS, SwinTransformer, swin_nano

VIT = dict(depth=2, embed_dim=32, num_heads=2)
SWIN2 = dict(embed_dim=24, depths=(1, 2, 1, 1), num_heads=(1, 1, 2, 2), img_size=64, window_size=4)


def seeded(model, seed=0):
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for value in model.state_dict().values():
            if value.is_floating_point():
                value.copy_(0.1 * torch.randn(value.shape, generator=generator).abs())
    return model.eval()


def same(a, b, but=()):
    a, b = a.state_dict(), b.state_dict()
    return a.keys() == b.keys() and all(
        torch.equal(a[key].float(), b[key].float()) for key in a if not key.startswith(but)
    )


# ---- timm's models, through timm's own loading ----


def test_a_vit_of_another_size_gets_its_position_embedding_resampled(tmp_path):
    name = "vit_tiny_patch16_224"
    source = seeded(timm.create_model(name, img_size=64, num_classes=7, **VIT))
    path = tmp_path / "vit.safetensors"
    save_file(source.state_dict(), str(path))
    model = plain_model(name, pretrained=path, img_size=96, num_classes=7, **VIT).eval()
    assert model.pos_embed.shape[1] == 1 + 6 * 6 and same(model, source, "pos_embed")
    expected = timm.layers.resample_abs_pos_embed(source.pos_embed, (6, 6))
    torch.testing.assert_close(model.pos_embed, expected)
    assert same(plain_model(name, pretrained=path, img_size=64, **VIT), source)  # 7, as the file
    with pytest.warns(
        UserWarning, match="classifier of 7 classes; the model gets a new, untrained"
    ):
        other = plain_model(name, pretrained=path, img_size=64, num_classes=3, **VIT)
    assert other.num_classes == 3 and same(
        torch.nn.ModuleList(other.blocks), torch.nn.ModuleList(source.blocks)
    )
    bare = plain_model(name, pretrained=path, img_size=64, num_classes=0, **VIT)
    assert bare.num_classes == 0 and "state_dict" not in bare.pretrained_cfg
    gray = plain_model(name, pretrained=path, img_size=64, num_classes=7, in_chans=1, **VIT)
    torch.testing.assert_close(
        gray.patch_embed.proj.weight, source.patch_embed.proj.weight.sum(1, keepdim=True)
    )
    mgff = MGFFClassifier(name, pretrained=False, img_size=64, num_classes=2)
    assert mgff.backbone.model.pos_embed.shape[1] == 17


def original_names(state):
    """The Swin authors' names: merging at the end of a stage, ``head``, buffers."""
    out = {}
    for key, value in state.items():
        key = re.sub(
            r"^layers\.(\d)\.downsample", lambda m: f"layers.{int(m[1]) - 1}.downsample", key
        )
        out[key.replace("head.fc.", "head.")] = value
    out["layers.0.blocks.0.attn.relative_position_index"] = torch.zeros(16, 16, dtype=torch.long)
    out["layers.0.blocks.0.attn.relative_coords_table"] = torch.zeros(1, 7, 7, 2)
    out["layers.1.blocks.1.attn_mask"] = torch.zeros(4, 16, 16)
    return out


def test_swin_v2_in_its_authors_names(tmp_path):
    name = "swinv2_tiny_window8_256"
    source = seeded(timm.create_model(name, num_classes=5, **SWIN2))
    path = tmp_path / "swinv2.pth"
    torch.save({"model": original_names(source.state_dict())}, path)
    assert same(plain_model(name, pretrained=path, num_classes=5, **SWIN2), source)


def google_names(model):
    """A ViT as Google stores it: JAX's names and layouts."""
    state, heads = model.state_dict(), model.blocks[0].attn.num_heads
    dim = model.embed_dim
    out = {
        "cls": state["cls_token"],
        "embedding/kernel": state["patch_embed.proj.weight"].permute(2, 3, 1, 0),
        "embedding/bias": state["patch_embed.proj.bias"],
        "Transformer/posembed_input/pos_embedding": state["pos_embed"],
        "Transformer/encoder_norm/scale": state["norm.weight"],
        "Transformer/encoder_norm/bias": state["norm.bias"],
        "head/kernel": state["head.weight"].T,
        "head/bias": state["head.bias"],
    }
    for i in range(len(model.blocks)):
        here, block = f"Transformer/encoderblock_{i}/", f"blocks.{i}."
        attention = f"{here}MultiHeadDotProductAttention_1/"
        weights = state[f"{block}attn.qkv.weight"].view(3, heads, dim // heads, dim)
        biases = state[f"{block}attn.qkv.bias"].view(3, heads, dim // heads)
        for j, part in enumerate(("query", "key", "value")):
            out[f"{attention}{part}/kernel"] = weights[j].permute(2, 0, 1)
            out[f"{attention}{part}/bias"] = biases[j]
        out[f"{attention}out/kernel"] = state[f"{block}attn.proj.weight"].T.reshape(
            heads, dim // heads, dim
        )
        out[f"{attention}out/bias"] = state[f"{block}attn.proj.bias"]
        for norm, theirs in (("norm1", "LayerNorm_0"), ("norm2", "LayerNorm_2")):
            out[f"{here}{theirs}/scale"] = state[f"{block}{norm}.weight"]
            out[f"{here}{theirs}/bias"] = state[f"{block}{norm}.bias"]
        for layer in (0, 1):
            out[f"{here}MlpBlock_3/Dense_{layer}/kernel"] = state[
                f"{block}mlp.fc{layer + 1}.weight"
            ].T
            out[f"{here}MlpBlock_3/Dense_{layer}/bias"] = state[f"{block}mlp.fc{layer + 1}.bias"]
    return {key: np.ascontiguousarray(value.numpy()) for key, value in out.items()}


@pytest.mark.parametrize("save", [np.savez, np.savez_compressed])
def test_googles_archives(save, tmp_path):
    name = "vit_tiny_patch16_224"
    source = seeded(timm.create_model(name, img_size=32, num_classes=4, **VIT))
    path = tmp_path / "vit.npz"
    save(path, **google_names(source))
    assert same(plain_model(name, pretrained=path, img_size=32, **VIT), source)
    assert plain_model(name, pretrained=path, img_size=64, **VIT).pos_embed.shape[1] == 17
    with pytest.raises(CheckpointError, match="vit.npz belongs to another model: it holds Google"):
        create_model("swin_nano", pretrained=path)
    with pytest.raises(CheckpointError, match="vit.npz belongs to another model: it holds Google"):
        plain_model("resnet10t", pretrained=path)


def test_archives_with_objects_or_bombs_are_refused(tmp_path):
    np.savez(tmp_path / "objects.npz", a=np.array([{}], dtype=object))
    np.savez_compressed(tmp_path / "bomb.npz", a=np.zeros(10_000_000, dtype=np.float32))
    for name, words in (("objects", "holds Python objects"), ("bomb", "would unpack to 40000")):
        with pytest.raises(CheckpointError, match=words):
            read_checkpoint(tmp_path / f"{name}.npz")


def test_counters_of_batch_norms_may_be_missing(tmp_path):
    source = seeded(timm.create_model("resnet10t", num_classes=3))
    state = {k: v for k, v in source.state_dict().items() if "num_batches" not in k}
    torch.save(state, tmp_path / "old.pth")
    model = plain_model("resnet10t", pretrained=tmp_path / "old.pth", num_classes=3)
    x = torch.randn(1, 3, 64, 64)
    torch.testing.assert_close(model.eval()(x), source(x))


# ---- wrappers and prefixes, for models of either kind ----

MODELS = {
    "swin_nano": lambda: swin_nano(num_classes=3),
    "vit_nano": lambda: create_model("vit_nano", num_classes=3),
    "mgff_swin_nano": lambda: create_model("mgff_swin_nano", num_classes=3),
    "resnet10t": lambda: timm.create_model("resnet10t", num_classes=3),
}


@pytest.mark.parametrize("name", sorted(MODELS))
@pytest.mark.parametrize("prefix", ["module.", "model.", "backbone.", "_orig_mod.module."])
def test_a_prefix_common_to_all_names_goes(name, prefix, tmp_path):
    source = seeded(MODELS[name]())
    path = tmp_path / "prefixed.pth"
    torch.save({prefix + k: v for k, v in source.state_dict().items()}, path)
    assert same(create_model(name, pretrained=path, num_classes=3), source)


@pytest.mark.parametrize("name", ["swin_nano", "resnet10t"])
@pytest.mark.parametrize(
    "wrap",
    [
        lambda s: {"model_state_dict": s, "optimizer_state_dict": {}, "epoch": 3},
        lambda s: {"state_dict": s, "args": argparse.Namespace(lr=0.1)},
        lambda s: {"model": {"state_dict": s}},
        lambda s: {"student": {k: v + 1 for k, v in s.items()}, "teacher": s, "epoch": 1},
        lambda s: {"state_dict": {k: v + 1 for k, v in s.items()}, "state_dict_ema": s},
    ],
    ids=["model_state_dict", "timm training", "nested", "teacher", "ema"],
)
def test_wrappers_are_known(name, wrap, tmp_path):
    source = seeded(MODELS[name]())
    path = tmp_path / "wrapped.pth"
    torch.save(wrap(source.state_dict()), path)
    assert same(create_model(name, pretrained=path, num_classes=3), source)


def test_a_teacher_with_a_head_of_its_pretraining(tmp_path):
    name = "vit_tiny_patch16_224"
    source = seeded(timm.create_model(name, img_size=32, num_classes=0, **VIT))
    state = {f"backbone.{k}": v for k, v in source.state_dict().items()}
    state |= {f"head.mlp.{i}.weight": torch.zeros(4, 4) for i in range(3)}
    path = tmp_path / "dino.pth"
    torch.save({"teacher": state, "student": state}, path)
    with pytest.warns(UserWarning, match="no classifier; the model gets a new"):
        model = plain_model(name, pretrained=path, img_size=32, num_classes=5, **VIT)
    assert same(torch.nn.ModuleList(model.blocks), torch.nn.ModuleList(source.blocks))


def hugging_face_names(state):
    """A Swin in Hugging Face's names."""
    out = {}
    for key, value in original_names(state).items():
        if "attn.qkv." in key:
            for part, piece in zip(("query", "key", "value"), value.chunk(3)):
                new = key.replace("attn.qkv", f"attention.self.{part}")
                out[f"swin.encoder.{new}"] = piece.clone()
            continue
        key = key.replace("attn.proj.", "attention.output.dense.")
        key = re.sub(r"attn\.(?=relative)", "attention.self.", key)
        key = key.replace("norm1.", "layernorm_before.").replace("norm2.", "layernorm_after.")
        key = key.replace("mlp.fc1.", "intermediate.dense.").replace("mlp.fc2.", "output.dense.")
        key = key.replace("patch_embed.proj.", "embeddings.patch_embeddings.projection.")
        key = key.replace("patch_embed.norm.", "embeddings.norm.")
        if key.startswith("layers."):
            key = f"encoder.{key}"
        key = re.sub(r"^norm\.", "layernorm.", key)
        out[key.replace("head.", "classifier.") if key[:5] == "head." else f"swin.{key}"] = value
    return out


def test_hugging_faces_names_of_swin(tmp_path):
    source = seeded(swin_nano(num_classes=3))
    names = {k: v for k, v in hugging_face_names(source.state_dict()).items() if "coords" not in k}
    assert "swin.encoder.layers.0.blocks.1.attention.self.query.weight" in names
    assert "swin.encoder.layers.0.downsample.reduction.weight" in names
    save_file(names, str(tmp_path / "hf.safetensors"))
    model = swin_nano(num_classes=3)
    fill(model, tmp_path / "hf.safetensors")
    assert same(model, source)
    bare = {k.removeprefix("swin."): v for k, v in names.items() if "classifier" not in k}
    save_file(bare, str(tmp_path / "bare.safetensors"))
    with pytest.warns(UserWarning, match="no classifier"):
        fill(model, tmp_path / "bare.safetensors")
    assert same(model, source, "head.fc")


def test_an_mgff_checkpoint_gives_its_backbone(tmp_path):
    source = seeded(create_model("mgff_swin_nano", num_classes=3))
    save_checkpoint(tmp_path / "mgff.safetensors", source, {})
    model = plain_model(
        "swin_tiny_patch4_window7_224",
        num_classes=0,
        img_size=96,
        window_size=6,
        embed_dim=32,
        depths=(2, 2, 2, 1),
        num_heads=(1, 2, 4, 8),
    )
    fill(model, tmp_path / "mgff.safetensors")
    assert same(model, source.backbone.model)


# ---- files of other models ----


def test_a_file_of_another_model_says_which_and_what_would_fit(tmp_path):
    def saved(name, **options):
        path = tmp_path / f"{name}.pth"
        with torch.device("cpu"):
            torch.save(timm.create_model(name, **options).state_dict(), path)
        return path

    resnet = saved("resnet18")
    vit = saved("vit_small_patch16_224", num_classes=2)
    convnext = saved("convnext_atto", num_classes=2)
    swin = saved("swin_tiny_patch4_window7_224", num_classes=2)
    for model, path, words in (
        (
            "swin_nano",
            resnet,
            r"a ResNet of \(2, 2, 2, 2\) basic blocks.*fit create_model.'resnet18'",
        ),
        ("resnet34", resnet, r"a ResNet of \(2, 2, 2, 2\).*this one is a ResNet of \(3, 4, 6, 3\)"),
        ("vit_nano", vit, "a ViT of width 384, depth 12 and patch 16, for 224 pixels.*width 128"),
        ("vit_tiny_patch16_224", vit, "width 384.*fit create_model.'vit_small_patch16_224'"),
        ("resnet10t", convnext, "a ConvNeXt of width 40.*fit create_model.'convnext_atto'"),
        (
            "swin_nano",
            swin,
            r"a Swin of width 96 and depths \(2, 2, 6, 2\).*swin_tiny_patch4_window7",
        ),
        ("mgff_swin_nano", swin, "a Swin of width 96"),
    ):
        with pytest.raises(CheckpointError, match=words) as caught:
            create_model(model, pretrained=path)
        text = str(caught.value)
        assert "\n" not in text and "\x1b" not in text and len(text) < 700, text


def test_the_backbone_alone_is_named_as_such(tmp_path):
    torch.save(swin_nano(num_classes=0).state_dict(), tmp_path / "swin.pth")
    with pytest.raises(CheckpointError, match="the backbone alone; for MGFF on it use MGFFClassif"):
        create_model("mgff_swin_nano", pretrained=tmp_path / "swin.pth")


def test_what_is_suggested_exists():
    for name in [
        *BUILDERS,
        "resnet50",
        "convnext_tiny",
        "vit_base_patch16_224",
        "vit_small_patch14_dinov2",
        "swinv2_base_window8_256",
    ]:
        if "in22k" in name:
            continue
        with torch.device("meta"):
            model = create_model(name) if name in BUILDERS else timm.create_model(name)
        assert describe(model.state_dict())[1] == name


def test_torchs_own_text_never_reaches_the_user(tmp_path):
    class Object:
        def __reduce__(self):
            return os.getcwd, ()

    path = tmp_path / "objects.pth"
    torch.save({"model": Object()}, path)
    for name in ("swin_nano", "vit_nano", "mgff_swin_nano", "resnet10t"):
        with pytest.raises(CheckpointError, match="holds Python objects") as caught:
            create_model(name, pretrained=path)
        assert "\x1b" not in str(caught.value) and "weights_only" not in str(caught.value)
        assert "\n" not in str(caught.value)


def test_nothing_is_loaded_by_halves(tmp_path):
    model = SwinTransformer(img_size=32, embed_dim=8, depths=(1, 1), num_heads=(1, 1))
    before = {key: value.clone() for key, value in model.state_dict().items()}
    state = seeded(
        SwinTransformer(img_size=32, embed_dim=8, depths=(1, 1), num_heads=(1, 1))
    ).state_dict()
    del state["norm.weight"]
    torch.save(state, tmp_path / "part.pth")
    with pytest.raises(CheckpointError, match="missing 1 .norm.weight"):
        fill(model, tmp_path / "part.pth")
    assert all(torch.equal(before[key], value) for key, value in model.state_dict().items())


def test_features_only_from_a_file_is_refused_for_timms_models(tmp_path):
    torch.save(timm.create_model("resnet10t").state_dict(), tmp_path / "r.pth")
    with pytest.raises(InputError, match="features_only"):
        create_model("resnet10t", pretrained=tmp_path / "r.pth", features_only=True)
