"""The Swin Transformer against timm, on sizes it was not built for, and with weights of every
origin.
"""

import pytest
import timm
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from mgff_tutorial import swin
from mgff_tutorial.pretrained import (
    convert_names,
    fill,
    load_weights,
    plain_model,
    timm_name,
)
from mgff_tutorial.support.errors import CheckpointError, InputError
from mgff_tutorial.swin import SwinTransformer, swin_nano
from mgff_tutorial.windows import StochasticDepth

# timm up to 1.0.30 rounds odd grids down between stages, and its windows with them: there only the
# even size compares.
ROUNDS_UP = hasattr(timm.models.swin_transformer, "calc_stage_window_sizes")
EIGHT = [name for name in swin.BUILDERS if name != "swin_nano"]
# Shifted blocks on padded grids, and windows that shrink to theirs; full widths, heads and tables.
SHORT = dict(depths=(2, 2, 1, 1), num_classes=7, drop_path_rate=0.0)
TOY = dict(
    img_size=32,
    embed_dim=8,
    depths=(2, 2),
    num_heads=(1, 2),
    window_size=4,
    num_classes=5,
    drop_path_rate=0.0,
)


def noisy(model, seed=0):
    """Fill every parameter with numbers that matter (a fresh bias table or norm is almost
    nothing).
    """
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for p in model.parameters():
            p.add_(torch.rand(p.shape, generator=generator).sub_(0.5).mul_(0.04))
    return model


def assert_parity(ours, theirs, images, logits_tolerance=1e-5):
    """Logits and the gradient of every parameter agree."""
    ours.load_state_dict(theirs.state_dict())
    a, b = ours(images), theirs(images)
    torch.testing.assert_close(a, b, atol=logits_tolerance, rtol=0)
    weights = torch.randn(a.shape, generator=torch.Generator().manual_seed(1)) / a.numel()
    (a * weights).sum().backward()
    (b * weights).sum().backward()
    for (name, p), q in zip(ours.named_parameters(), theirs.parameters()):
        torch.testing.assert_close(
            p.grad, q.grad, atol=1e-5, rtol=1e-4, msg=lambda m, name=name: f"{name}: {m}"
        )


@pytest.mark.parametrize("name", EIGHT)
def test_logits_and_gradients_equal_timm(name):
    size = 192 if "window12" in name and "base" in name and "22k" not in name else 64
    ours = getattr(swin, name)(img_size=size, **SHORT).eval()
    theirs = timm.create_model(timm_name(name), img_size=size, **SHORT).eval()
    assert list(ours.state_dict()) == list(theirs.state_dict())
    assert_parity(
        ours,
        noisy(theirs),
        torch.randn(1, 3, size, size, generator=torch.Generator().manual_seed(2)),
    )


def test_the_whole_depth_equals_timm_at_full_size():
    name = "swin_tiny_patch4_window7_224"
    ours, theirs = getattr(swin, name)().eval(), timm.create_model(name).eval()
    x = torch.randn(1, 3, 224, 224, generator=torch.Generator().manual_seed(0))
    ours.load_state_dict(noisy(theirs).state_dict())
    with torch.no_grad():
        torch.testing.assert_close(ours(x), theirs(x), atol=1e-5, rtol=0)


@pytest.mark.parametrize("size", [(96, 64), (60, 100), (28, 20)] if ROUNDS_UP else [(96, 64)])
def test_padded_and_oblong_grids_equal_timm(size):
    options = {**TOY, "img_size": size, "depths": (2, 2, 2), "num_heads": (1, 2, 2)}
    ours = SwinTransformer(**options).eval()
    theirs = timm.models.swin_transformer.SwinTransformer(**options).eval()
    assert_parity(
        ours, noisy(theirs), torch.randn(2, 3, *size, generator=torch.Generator().manual_seed(0))
    )


def test_sizes_it_was_not_built_for_equal_timm():
    ours = SwinTransformer(**TOY).eval()
    theirs = timm.models.swin_transformer.SwinTransformer(**TOY, strict_img_size=False).eval()
    ours.load_state_dict(noisy(theirs).state_dict())
    for size in ((32, 32), (44, 72), (8, 60), (32, 32)):  # back again: masks are not mixed up
        x = torch.randn(2, 3, *size, generator=torch.Generator().manual_seed(0))
        with torch.no_grad():
            torch.testing.assert_close(ours(x), theirs(x), atol=1e-5, rtol=0)


@settings(deadline=None, max_examples=20)
@given(st.integers(1, 80), st.integers(1, 80), st.integers(0, 2), st.booleans())
def test_any_size_gives_logits_and_four_maps(height, width, batch, pad_first):
    torch.manual_seed(0)
    model = swin_nano(num_classes=4, pad_first=pad_first).eval()
    x = torch.randn(batch, 3, height, width)
    with torch.no_grad():
        logits, maps = model(x), model.feature_maps(x)
    assert logits.shape == (batch, 4) and bool(logits.isfinite().all())
    side = [-(-height // 4), -(-width // 4)]
    for m, channels, stage in zip(maps, (64, 128, 256, 256), (1, 2, 3, 3)):
        assert m.shape == (batch, channels, -(-side[0] // 2**stage), -(-side[1] // 2**stage))


def test_an_odd_photograph_runs_and_small_changes_stay_local():
    torch.manual_seed(0)
    model = swin.swin_tiny_patch4_window7_224(depths=(2, 2, 2, 1), num_classes=3).eval()
    x = torch.randn(1, 3, 229, 317)
    assert model(x).shape == (1, 3)
    assert [tuple(m.shape[1:]) for m in model.feature_maps(x)] == [
        (192, 29, 40),
        (384, 15, 20),
        (768, 8, 10),
        (768, 8, 10),
    ]


def test_the_maps_of_the_paper_at_full_size():
    with torch.device("meta"):
        model = swin.swin_base_patch4_window12_384(num_classes=200)
        maps = model.feature_maps(torch.empty(2, 3, 384, 384))
    assert [tuple(m.shape) for m in maps] == [
        (2, 256, 48, 48),
        (2, 512, 24, 24),
        (2, 1024, 12, 12),
        (2, 1024, 12, 12),
    ]


def test_the_last_map_is_what_the_head_sees():
    torch.manual_seed(0)
    model = swin_nano().eval()
    x = torch.randn(2, 3, 96, 96)
    last = model.feature_maps(x)[-1]
    assert torch.equal(last.permute(0, 2, 3, 1), model.forward_features(x))
    torch.testing.assert_close(model.head.fc(last.mean((2, 3))), model(x), atol=1e-6, rtol=0)
    torch.testing.assert_close(
        model.forward_head(model.forward_features(x), pre_logits=True), last.mean((2, 3))
    )


@pytest.mark.parametrize(
    "name, classes, dim, size",
    [
        ("swin_tiny_patch4_window7_224", 1000, 768, 224),
        ("swin_small_patch4_window7_224", 1000, 768, 224),
        ("swin_base_patch4_window7_224", 1000, 1024, 224),
        ("swin_base_patch4_window12_384", 1000, 1024, 384),
        ("swin_base_patch4_window7_224_in22k", 21841, 1024, 224),
        ("swin_base_patch4_window12_384_in22k", 21841, 1024, 384),
        ("swin_large_patch4_window7_224_in22k", 21841, 1536, 224),
        ("swin_large_patch4_window12_384_in22k", 21841, 1536, 384),
    ],
)
def test_builders_have_the_published_settings(name, classes, dim, size):
    with torch.device("meta"):
        ours, theirs = getattr(swin, name)(), timm.create_model(timm_name(name))
    assert (ours.num_classes, ours.num_features, ours.img_size) == (classes, dim, (size, size))
    assert {k: v.shape for k, v in ours.state_dict().items()} == {
        k: v.shape for k, v in theirs.state_dict().items()
    }
    for key in (
        "mean",
        "std",
        "input_size",
        "crop_pct",
        "interpolation",
        "first_conv",
        "classifier",
        "num_classes",
    ):
        assert ours.pretrained_cfg[key] == theirs.pretrained_cfg[key], key
    assert ours.no_weight_decay() == theirs.no_weight_decay()


def original_names(state):
    """timm's state dict as the original authors store it: other names, and two buffers."""
    out = {}
    for key, value in state.items():
        parts = key.split(".")
        if parts[0] == "layers" and parts[2] == "downsample":
            parts[1] = str(int(parts[1]) - 1)
        out[".".join(parts).replace("head.fc", "head")] = value
    out["layers.0.blocks.0.attn.relative_position_index"] = torch.zeros(16, 16, dtype=torch.long)
    out["layers.0.blocks.1.attn_mask"] = torch.zeros(4, 16, 16)
    return out


def test_the_original_authors_files_load(tmp_path):
    source, target = noisy(SwinTransformer(**TOY)), SwinTransformer(**TOY)
    path = tmp_path / "swin.pth"
    torch.save({"model": original_names(source.state_dict())}, path)
    fill(target, path)
    assert all(
        torch.equal(a, b)
        for a, b in zip(source.state_dict().values(), target.state_dict().values())
    )
    state = source.state_dict()
    assert convert_names(state).keys() == state.keys()


def test_another_window_or_class_count_is_fitted_and_said():
    source = noisy(SwinTransformer(**TOY))
    target = SwinTransformer(**{**TOY, "window_size": 8, "img_size": 64, "num_classes": 3})
    head = target.head.fc.weight.clone()
    with pytest.warns(
        UserWarning, match="classifier of 5 classes; the model gets a new, untrained one of 3"
    ):
        load_weights(target, source.state_dict())
    assert torch.equal(target.head.fc.weight, head)
    table = target.layers[0].blocks[0].attn.relative_position_bias_table
    old = source.layers[0].blocks[0].attn.relative_position_bias_table
    torch.testing.assert_close(table[112], old[24])  # the centre: no displacement
    assert torch.equal(target.patch_embed.proj.weight, source.patch_embed.proj.weight)


def test_weights_of_another_model_are_refused_and_nothing_changes(tmp_path):
    model = SwinTransformer(**TOY)
    before = {k: v.clone() for k, v in model.state_dict().items()}
    with pytest.raises(
        CheckpointError, match="another model.*this one is a Swin of width 8.*missing"
    ):
        load_weights(model, {"conv.weight": torch.zeros(1)})
    with pytest.raises(
        CheckpointError, match="another model.*of another shape .patch_embed.proj.weight"
    ):
        load_weights(
            model, SwinTransformer(**{**TOY, "patch_size": 2, "img_size": 16}).state_dict()
        )
    with pytest.raises(CheckpointError, match="no such file"):
        fill(model, tmp_path / "absent.pth")
    for name, content in (("a.pth", b"junk"), ("b.safetensors", b"junk"), ("c.pth", b"")):
        (tmp_path / name).write_bytes(content)
        with pytest.raises(CheckpointError, match=name):
            fill(model, tmp_path / name)
    torch.save([1, 2], tmp_path / "list.pth")
    with pytest.raises(CheckpointError, match="not a state dict"):
        fill(model, tmp_path / "list.pth")
    assert all(torch.equal(before[k], v) for k, v in model.state_dict().items())


def test_pretrained_weights_come_from_timm(monkeypatch):
    name = "swin_tiny_patch4_window7_224"
    source = noisy(
        timm.create_model(name, depths=(1, 1, 1, 1), embed_dim=24, num_heads=(1, 1, 1, 1))
    )
    monkeypatch.setattr(
        timm, "create_model", lambda n, pretrained: source if pretrained and n == name else None
    )
    with pytest.warns(UserWarning, match="1000 classes"):
        model = plain_model(
            name,
            num_classes=9,
            pretrained=True,
            depths=(1, 1, 1, 1),
            embed_dim=24,
            num_heads=(1, 1, 1, 1),
        )
    assert model.head.fc.out_features == 9
    assert torch.equal(model.norm.weight, source.norm.weight)
    monkeypatch.setattr(
        timm, "create_model", lambda n, pretrained: (_ for _ in ()).throw(OSError("no route"))
    )
    with pytest.raises(CheckpointError, match="could not be had .OSError: no route.; connect"):
        plain_model(name, pretrained=True, depths=(1, 1, 1, 1), embed_dim=24, num_heads=(1,) * 4)


def test_changing_the_input_size_refits_windows_and_tables():
    torch.manual_seed(0)
    model = SwinTransformer(**TOY)
    built = SwinTransformer(**{**TOY, "img_size": 64, "window_size": 8})
    model.set_input_size(img_size=64)  # the window grows with it, as in timm
    assert {k: v.shape for k, v in model.state_dict().items()} == {
        k: v.shape for k, v in built.state_dict().items()
    }
    built.load_state_dict(model.state_dict())
    x = torch.randn(1, 3, 64, 64)
    assert torch.equal(model(x), built(x)) and model.pretrained_cfg["input_size"] == (3, 64, 64)


def test_checkpointing_gives_equal_gradients():
    torch.manual_seed(0)
    model = swin_nano(depths=(2, 2, 2, 2))
    x, grads = torch.randn(2, 3, 48, 48), []
    for enable in (False, True):
        model.set_grad_checkpointing(enable)
        model.zero_grad()
        model(x).square().sum().backward()
        grads.append([p.grad.clone() for p in model.parameters()])
    assert all(torch.equal(a, b) for a, b in zip(*grads))


def test_compiles_into_one_graph_with_any_batch():
    torch.manual_seed(0)
    model = SwinTransformer(**{**TOY, "depths": (2, 1)}).eval()
    compiled = torch.compile(model, fullgraph=True, backend="eager")
    graphs = torch._dynamo.utils.counters["stats"]
    x = torch.randn(2, 3, 32, 32)
    torch._dynamo.mark_dynamic(x, 0)
    torch.testing.assert_close(compiled(x), model(x), atol=1e-5, rtol=0)
    before = graphs["unique_graphs"]
    for batch in (3, 5):
        x = torch.randn(batch, 3, 32, 32)
        torch.testing.assert_close(compiled(x), model(x), atol=1e-5, rtol=0)
    assert graphs["unique_graphs"] == before  # not compiled again for another batch
    torch._dynamo.reset()


def test_reset_classifier():
    model = swin_nano(num_classes=20).double()
    model.reset_classifier(7)
    assert (
        model(torch.randn(1, 3, 96, 96, dtype=torch.float64)).shape == (1, 7)
        and model.num_classes == 7
    )
    assert model.get_classifier() is model.head.fc
    model.reset_classifier(0)
    assert model(torch.randn(1, 3, 96, 96, dtype=torch.float64)).shape == (1, 256)


def test_stochastic_depth_rises_and_keeps_the_mean():
    model = SwinTransformer(**{**TOY, "drop_path_rate": 0.3})
    rates = [block.drop_path.rate for stage in model.layers for block in stage.blocks]
    assert rates == pytest.approx([0.0, 0.1, 0.2, 0.3])
    torch.manual_seed(0)
    drop = StochasticDepth(0.25).train()
    kept = drop(torch.ones(4000, 2, 1))
    assert kept.unique().tolist() == pytest.approx(
        [0.0, 4 / 3]
    ) and kept.mean().item() == pytest.approx(1, abs=0.05)
    assert torch.equal(kept[:, 0], kept[:, 1])
    assert torch.equal(drop.eval()(torch.ones(3)), torch.ones(3))


@pytest.mark.parametrize(
    "dtype, tolerance", [(torch.float64, 1e-5), (torch.bfloat16, 0.05), (torch.float16, 0.01)]
)
def test_other_dtypes_stay_close_to_float32(dtype, tolerance):
    torch.manual_seed(0)
    model = swin_nano().eval()
    x = torch.randn(2, 3, 96, 96)
    with torch.no_grad():
        expected = model(x)
        got = model.to(dtype)(x.to(dtype))
    assert got.dtype == dtype
    torch.testing.assert_close(got.float(), expected, atol=tolerance, rtol=0)


def test_layout_of_the_input_and_grouping_do_not_matter():
    torch.manual_seed(0)
    model = swin_nano().eval()
    x = torch.randn(3, 3, 96, 96)
    with torch.inference_mode():
        expected = model(x)
        torch.testing.assert_close(model(x.contiguous(memory_format=torch.channels_last)), expected)
        torch.testing.assert_close(
            torch.cat([model(one[None]) for one in x]), expected, atol=1e-6, rtol=0
        )
    model.train()
    model(x).sum().backward()  # after inference mode, gradients still flow
    assert all(p.grad is not None for p in model.parameters())


@pytest.mark.parametrize(
    "options, word",
    [
        (dict(depths=(2, 2), num_heads=(1, 2, 4)), "depths and num_heads"),
        (dict(embed_dim=10), "num_heads of stage 1"),
        (dict(num_classes=-1), "num_classes"),
        (dict(in_chans=0), "in_chans"),
        (dict(global_pool="max"), "global_pool"),
        (dict(drop_path_rate=1.0), "drop_path_rate"),
        (dict(img_size=0), "img_size"),
        (dict(window_size=2.5), "window_size"),
        (dict(patch_size="4"), "patch_size"),
    ],
)
def test_options_that_do_not_fit_get_one_sentence(options, word):
    with pytest.raises(InputError, match=word):
        SwinTransformer(**options)


def test_images_that_do_not_fit_get_one_sentence():
    model = swin_nano()
    with pytest.raises(InputError, match=r"shape \(B, 3, H, W\), got \(1, 1, 96, 96\)"):
        model(torch.zeros(1, 1, 96, 96))
    with pytest.raises(InputError, match="dtype torch.float64"):
        model.feature_maps(torch.zeros(1, 3, 96, 96, dtype=torch.float64))
    with pytest.raises(TypeError, match="got ndarray"):
        model(torch.zeros(1, 3, 96, 96).numpy())
