"""MGFF and its classifier: the paper's shapes, any backbone, the start at the baseline, every
option, bad input.
"""

import copy

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from mgff_tutorial.mgff import MGFF, MGFFClassifier
from mgff_tutorial.models import build_from_checkpoint, create_model
from mgff_tutorial.options import DEFAULT, LITERAL, resolve_options
from mgff_tutorial.support.checkpoints import save_checkpoint
from mgff_tutorial.support.errors import CheckpointError, InputError

FAMILIES = [
    ("swin_nano", 96),
    ("resnet10t", 64),
    ("convnext_atto", 64),
    ("efficientnet_lite0", 64),
    ("mobilenetv3_small_050", 64),
    ("vit_tiny_patch16_224", 32),
    ("regnetx_002", 65),
    ("mobilenetv2_035", (64, 96)),
    ("deit_tiny_distilled_patch16_224", 32),
    ("repvgg_a0", 64),
]
CHANNELS, GRIDS = (4, 8, 16, 16), ((8, 8), (4, 4), (2, 2), (2, 2))


def images(size, batch=2):
    size = (size, size) if isinstance(size, int) else size
    return torch.randn(batch, 3, *size, generator=torch.Generator().manual_seed(0))


def maps(batch=2):
    generator = torch.Generator().manual_seed(0)
    return [torch.randn(batch, c, *g, generator=generator) for c, g in zip(CHANNELS, GRIDS)]


def wake(model):
    """Move every weight a little, so that gates are open and gradients can pass."""
    torch.manual_seed(5)
    with torch.no_grad():
        for p in model.parameters():
            if p.requires_grad:
                p.add_(0.02 * torch.randn_like(p))
    return model


@pytest.mark.parametrize("preset", ["default", "literal"])
def test_shapes_of_the_paper(preset):
    with torch.device("meta"):
        model = MGFFClassifier(
            "swin_base_patch4_window12_384", num_classes=200, img_size=384, preset=preset
        )
        out = model.details(torch.empty(2, 3, 384, 384))
    assert [tuple(m.shape) for m in out["maps"]] == [(2, 1024, 12, 12)] * 4
    assert out["nodes"].shape == (2, 576, 1024)
    assert out["super_nodes"].shape == (2, 18, 1024) and out["assignment"].shape == (2, 576, 18)
    assert out["embedding"].shape == (2, 1024) and out["logits"].shape == (2, 200)
    assert model.mgff.head.graph.adjacency.shape == (576, 576)


@pytest.mark.parametrize("name, size", FAMILIES)
def test_any_backbone_forward_and_backward_to_every_parameter(name, size):
    torch.manual_seed(0)
    model = wake(MGFFClassifier(name, num_classes=5, img_size=size, dim=32, reduction=2))
    loss = model(images(size)).square().sum()
    loss.backward()
    assert torch.isfinite(loss)
    silent = [
        n for n, p in model.named_parameters() if p.grad is None or not p.grad.abs().sum() > 0
    ]
    assert silent == []


@pytest.mark.parametrize(
    "name, size",
    [
        ("swin_nano", 96),
        ("convnext_atto", 64),
        ("vit_tiny_patch16_224", 32),
        ("mobilenetv3_small_050", 64),
    ],
)
def test_default_starts_at_the_baseline_and_literal_does_not(name, size):
    logits = {}
    for preset in ("baseline", "default", "literal"):
        torch.manual_seed(3)
        model = MGFFClassifier(name, num_classes=5, img_size=size, preset=preset).eval()
        with torch.no_grad():
            logits[preset] = model(images(size))
            if preset == "baseline":  # the backbone's own head and a linear layer, nothing else
                assert torch.equal(
                    logits[preset], model.classifier(model.backbone.model(images(size)))
                )
    assert torch.equal(logits["default"], logits["baseline"])
    assert not torch.allclose(logits["literal"], logits["baseline"], atol=1e-3)


def test_literal_has_no_parameters_without_gradient():
    model = wake(
        MGFFClassifier(
            "convnext_atto", num_classes=3, img_size=64, preset="literal", dim=32, reduction=2
        )
    )
    assert {n for n, p in model.named_parameters() if not p.requires_grad} == {
        "backbone.model.head.norm.weight",
        "backbone.model.head.norm.bias",
    }
    model(images(64)).square().sum().backward()
    assert all(p.grad.abs().sum() > 0 for p in model.parameters() if p.requires_grad)


def test_first_step_opens_the_gate():
    torch.manual_seed(0)
    model = MGFFClassifier("swin_nano", num_classes=4)
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-3)
    for _ in range(2):
        optimizer.zero_grad()
        torch.nn.functional.cross_entropy(model(images(96)), torch.tensor([0, 1])).backward()
        optimizer.step()
    assert model.mgff.gate.abs().min() > 0
    assert model.mgff.align.convs[0].weight.grad.abs().sum() > 0


@pytest.mark.parametrize(
    "changes, parts",
    [
        ({"self_attention": False}, "attention."),
        ({"channel_attention": False}, "channel."),
        ({"graph": False}, "head.graph"),
        ({"position_bias": False}, "relative_position"),
        ({"pool": "none"}, "head.pool"),
        ({"entry": "replace"}, "gate"),
        ({"norm_nodes": False}, "head.norm"),
        ({"align_norm": "none"}, "align.norms."),
    ],
)
def test_each_part_can_be_left_out(changes, parts):
    full, less = MGFF(CHANNELS, GRIDS), MGFF(CHANNELS, GRIDS, **changes)
    assert any(parts in name for name in full.state_dict())
    assert not any(parts in name for name in less.state_dict())
    out = less(maps())
    assert out["embedding"].shape == (2, 16) and torch.isfinite(out["embedding"]).all()


@pytest.mark.parametrize(
    "changes",
    [
        {"heads": 4},
        {"heads": 2},
        {"attention_residual": False, "identity_start": False},
        {"reduction": 2},
        {"fuse": "channels"},
        {"adjacency": "similarity"},
        {"adjacency": "grid"},
        {"pool": "before"},
        {"scores": "position"},
        {"super_nodes": 3},
        {"dim": 12},
        {"dim": 12, "fuse": "channels", "entry": "replace"},
        {"graph_norm": False, "graph_activation": False, "graph_residual": False},
        {"drop": 0.5},
    ],
)
@pytest.mark.parametrize("preset", ["default", "literal"])
def test_every_option_computes_something_else(preset, changes):
    torch.manual_seed(0)
    plain = wake(MGFF(CHANNELS, GRIDS, preset)).double()
    torch.manual_seed(0)
    other = wake(MGFF(CHANNELS, GRIDS, preset, **changes)).double()
    given = [m.double() for m in maps()]
    a, b = plain(given)["embedding"], other(given)["embedding"]
    if all(getattr(plain.options, name) == value for name, value in changes.items()):
        assert torch.equal(a, b)
    else:
        assert a.shape != b.shape or not torch.allclose(
            a, b, rtol=0, atol=1e-9 * a.abs().max().item()
        )
    b.square().sum().backward()


@pytest.mark.parametrize("chosen", [(0,), (3,), (0, 1, 2), (1, 3), (2, 0, 3)])
def test_granularities_can_be_chosen(chosen):
    module = wake(MGFF(CHANNELS, GRIDS, granularities=chosen))
    inputs = [m.requires_grad_() for m in maps()]
    out = module(inputs)
    assert len(out["maps"]) == len(chosen) and out["nodes"].shape == (2, 4 * len(chosen), 16)
    used = torch.autograd.grad(out["update"].sum(), inputs, allow_unused=True)
    assert [i for i, g in enumerate(used) if g is not None] == sorted(chosen)


def test_nodes_are_position_by_granularity():
    out = wake(MGFF(CHANNELS, GRIDS))(maps())
    for g in range(4):
        for position in range(4):
            torch.testing.assert_close(
                out["nodes"][:, g * 4 + position], out["maps"][g][:, :, position // 2, position % 2]
            )
    wide = wake(MGFF(CHANNELS, GRIDS, fuse="channels"))(maps())
    assert wide["nodes"].shape == (2, 4, 64)
    torch.testing.assert_close(wide["nodes"][:, 3, 16:32], wide["maps"][1][:, :, 1, 1])


def test_features_head_and_details_agree():
    model = wake(MGFFClassifier("swin_nano", num_classes=6)).eval()
    with torch.no_grad():
        x = images(96)
        logits, features = model(x), model.forward_features(x)
        vector = model.forward_head(features, pre_logits=True)
        assert torch.equal(model.forward_head(features), logits) and vector.shape == (
            2,
            model.num_features,
        )
        torch.testing.assert_close(model.get_classifier()(vector), logits)
        out = model.details(x)
        torch.testing.assert_close(out["logits"], logits)
        torch.testing.assert_close(out["embedding"], vector, atol=1e-5, rtol=1e-5)


def test_one_image_gives_what_it_gives_in_a_batch():
    model = wake(MGFFClassifier("swin_nano", num_classes=6)).eval()
    with torch.inference_mode():
        x = images(96, 3)
        together = model(x)
        for i in range(3):
            torch.testing.assert_close(model(x[i : i + 1])[0], together[i], atol=1e-6, rtol=1e-5)
        assert model(x[:0]).shape == (0, 6)
        torch.testing.assert_close(
            model(x.to(memory_format=torch.channels_last)), together, atol=1e-6, rtol=1e-5
        )
        strided = x.transpose(2, 3).contiguous().transpose(2, 3)
        torch.testing.assert_close(model(strided), together, atol=1e-6, rtol=1e-5)


def test_low_precision_stays_near():
    model = wake(MGFFClassifier("swin_nano", num_classes=6)).eval()
    with torch.inference_mode():
        exact = model(images(96))
        half = copy.deepcopy(model).bfloat16()(images(96).bfloat16())
        assert half.dtype == torch.bfloat16
        torch.testing.assert_close(half.float(), exact, atol=0.1 * exact.abs().max().item(), rtol=0)
        with torch.autocast("cpu", torch.bfloat16):
            mixed = model(images(96)).float()
        torch.testing.assert_close(mixed, exact, atol=0.1 * exact.abs().max().item(), rtol=0)


@pytest.mark.parametrize("preset", ["default", "literal", "baseline"])
def test_state_dict_round_trip(preset):
    torch.manual_seed(0)
    one = wake(MGFFClassifier("swin_nano", num_classes=3, preset=preset)).eval()
    two = MGFFClassifier("swin_nano", num_classes=3, preset=preset).eval()
    two.load_state_dict(one.state_dict())
    assert torch.equal(one(images(96)), two(images(96)))
    assert all(torch.isfinite(v).all() for v in one.state_dict().values())


def test_conventions_of_timm():
    model = MGFFClassifier("vit_tiny_patch16_224", num_classes=3, img_size=32)
    cfg = model.pretrained_cfg
    assert cfg["input_size"] == (3, 32, 32) and len(cfg["mean"]) == len(cfg["std"]) == 3
    assert model.default_cfg == cfg and cfg["num_classes"] == 3
    assert dict(model.named_modules())[cfg["first_conv"]] is model.backbone.model.patch_embed.proj
    model.reset_classifier(7)
    assert model.num_classes == 7 and model(images(32)).shape == (2, 7)
    model.reset_classifier(0)
    assert model(images(32)).shape == (2, 192)
    names = {name for name, _ in model.named_parameters()}
    kept = model.no_weight_decay()
    assert {
        "backbone.model.pos_embed",
        "backbone.model.cls_token",
        "mgff.gate",
        "mgff.head.graph.adjacency",
    } <= kept
    assert {n for n in kept if "mgff" in n} <= names
    with pytest.raises(InputError, match="global_pool must be 'avg' or ''"):
        model.reset_classifier(3, "max")


def test_gradient_checkpointing_changes_nothing():
    torch.manual_seed(0)
    model = wake(MGFFClassifier("swin_nano", num_classes=3))
    grads = []
    for enable in (False, True):
        model.zero_grad()
        model.set_grad_checkpointing(enable)
        model(images(96)).square().sum().backward()
        grads.append([p.grad.clone() for p in model.parameters()])
    for a, b in zip(*grads):
        torch.testing.assert_close(a, b, atol=1e-5, rtol=1e-4)


def test_parameter_groups_and_layer_decay():
    from timm.optim import param_groups_layer_decay

    model = MGFFClassifier("swin_nano", num_classes=3)
    groups = model.parameter_groups(lr=1e-3, head_lr_scale=5, weight_decay=0.05)
    assert sum(len(g["params"]) for g in groups) == len(list(model.parameters()))
    by_id = {id(p): g for g in groups for p in g["params"]}
    assert by_id[id(model.classifier.weight)]["lr"] == pytest.approx(5e-3)
    assert by_id[id(model.classifier.weight)]["weight_decay"] == 0.05
    assert by_id[id(model.mgff.head.graph.adjacency)]["weight_decay"] == 0
    assert by_id[id(model.backbone.model.patch_embed.proj.weight)]["lr"] == pytest.approx(1e-3)
    decayed = param_groups_layer_decay(
        model, 0.05, no_weight_decay_list=model.no_weight_decay(), layer_decay=0.5
    )
    scale = {id(p): g["lr_scale"] for g in decayed for p in g["params"]}
    assert scale[id(model.backbone.model.patch_embed.proj.weight)] < 0.1
    assert scale[id(model.classifier.weight)] == scale[id(model.mgff.gate)] == 1


@settings(max_examples=20, deadline=None)
@given(
    st.lists(st.integers(0, 5), max_size=5),
    st.sampled_from([torch.float32, torch.float64, torch.uint8]),
)
def test_wrong_images_get_one_sentence(model_for_bad_input, shape, dtype):
    with pytest.raises((InputError, TypeError), match="images"):
        model_for_bad_input(torch.zeros(shape, dtype=dtype))


@pytest.fixture(scope="module")
def model_for_bad_input():
    return MGFFClassifier("swin_nano", num_classes=3)


@pytest.mark.parametrize("size", [(95, 96), (192, 192), (1, 1)])
def test_another_size_is_refused_with_the_right_one(model_for_bad_input, size):
    with pytest.raises(InputError, match=r"images must have shape \(B, 3, 96, 96\), got \(1, 3, "):
        model_for_bad_input(torch.zeros(1, 3, *size))


@pytest.mark.parametrize(
    "build, words",
    [
        (
            lambda: MGFFClassifier("swin_nano", num_classes=-1),
            "num_classes must be an integer of 0 or more, got -1",
        ),
        (
            lambda: MGFFClassifier("swin_nano", num_classes=2.0),
            "num_classes must be an integer of 0 or more, got 2.0",
        ),
        (lambda: MGFFClassifier("swin_nano", preset="letter"), "Unknown preset 'letter'"),
        (
            lambda: MGFFClassifier("swin_nano", self_atention=False),
            "Unknown MGFF option 'self_atention'; did you mean",
        ),
        (
            lambda: MGFFClassifier("swin_nano", preset="baseline", graph=False),
            "'baseline' has no MGFF, so 'graph'",
        ),
        (
            lambda: MGFFClassifier("swin_nano", granularities=()),
            "granularities must be different numbers from 0 to 3",
        ),
        (
            lambda: MGFFClassifier("swin_nano", granularities=(0, 4)),
            "granularities must be different numbers from 0 to 3",
        ),
        (
            lambda: MGFFClassifier("swin_nano", granularities=(1, 1)),
            "granularities must be different numbers from 0 to 3",
        ),
        (
            lambda: MGFFClassifier("swin_nano", granularities=2),
            "granularities must be different numbers from 0 to 3",
        ),
        (
            lambda: MGFFClassifier("swin_nano", fuse="stack"),
            "fuse must be 'nodes' or 'channels', got 'stack'",
        ),
        (
            lambda: MGFFClassifier("swin_nano", entry=None),
            "entry must be 'replace' or 'residual', got None",
        ),
        (
            lambda: MGFFClassifier("swin_nano", heads=7),
            "heads must divide the 256 channels of a map, got 7",
        ),
        (lambda: MGFFClassifier("swin_nano", dim=0), "dim must be an integer of 1 or more, got 0"),
        (
            lambda: MGFFClassifier("swin_nano", pool="before", adjacency="grid"),
            "can't come after pool='before'",
        ),
        (
            lambda: MGFF((1, 2), ((2, 2), (1, 1))),
            "MGFF takes four maps, got 2 channels and 2 grids",
        ),
        (
            lambda: MGFF(CHANNELS, GRIDS)(maps()[:3]),
            "maps must be a list of four feature maps, got 3",
        ),
        (
            lambda: MGFF(CHANNELS, GRIDS)(maps()[::-1]),
            r"feature map 0 must have shape \(B, 4, 8, 8\), got \(2, 16, 2, 2\)",
        ),
        (
            lambda: MGFFClassifier("swin_nano", preset="baseline").details(images(96)),
            "the baseline has no MGFF",
        ),
    ],
)
def test_bad_options_are_named(build, words):
    with pytest.raises(InputError, match=words):
        build()


def test_options_that_do_not_exist_or_fit_are_named():
    good = resolve_options("literal", self_attention=False)  # the old name of attention
    assert good.attention is False and good.replace(attention=True) == LITERAL
    assert DEFAULT.replace(granularities=[3, 0]).granularities == (0, 3)
    for wrong, words in (
        ({"atention": True}, "Unknown MGFF option 'atention'; did you mean 'attention'"),
        ({"adjacency": "cosine"}, "adjacency must be 'learned' or 'similarity' or 'grid'"),
        ({"scores": "both"}, "scores must be 'content' or 'position', got 'both'"),
        ({"pool": "middle"}, "pool must be 'after' or 'before' or 'none', got 'middle'"),
        ({"align_norm": "batch"}, "align_norm must be 'none' or 'layer', got 'batch'"),
        ({"super_nodes": 0}, "super_nodes must be an integer of 1 or more, got 0"),
        ({"graph_norm": 1}, "graph_norm must be True or False, got 1"),
        ({"attention": "mine"}, "attention must be True or False, got 'mine'"),
        ({"attention_residual": False}, "identity_start needs attention_residual=True"),
    ):
        with pytest.raises(InputError, match=words):
            resolve_options("default", **wrong)


class Blur(torch.nn.Module):
    """A spatial attention of the reader's own."""

    def __init__(self, dim, grid):
        super().__init__()
        self.mix = torch.nn.Conv2d(dim, dim, 3, padding=1, groups=dim)

    def forward(self, x):
        return x + self.mix(x)


def half_the_channels(dim):
    return torch.nn.Sequential(torch.nn.Conv2d(dim, dim // 2, 1), torch.nn.Conv2d(dim // 2, dim, 1))


def test_parts_can_be_the_readers_own():
    model = MGFFClassifier(
        "swin_nano",
        num_classes=3,
        attention=Blur,
        channel_attention=half_the_channels,
        graph=lambda in_dim, out_dim, nodes: torch.nn.Linear(in_dim, out_dim),
    )
    assert all(type(part) is Blur for part in model.mgff.attention)
    assert type(model.mgff.head.graph) is torch.nn.Linear
    assert model.mgff.foreign_parts == {
        "attention": "Blur",
        "channel_attention": "half_the_channels",
        "graph": "<lambda>",
    }
    x = images(96)
    plain = MGFFClassifier("swin_nano", num_classes=3, attention=False)
    assert model(x).shape == plain(x).shape == (len(x), 3)
    # the documented trap: behind the closed gate a new part has no gradient at the first step
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    seen = []
    for _ in range(2):
        optimizer.zero_grad()
        model(x).square().sum().backward()
        seen.append(model.mgff.attention[0].mix.weight.grad.abs().sum().item())
        optimizer.step()
    assert seen[0] == 0 and seen[1] > 0


def test_a_checkpoint_with_foreign_parts_wants_them_again(tmp_path):
    torch.manual_seed(0)
    model = MGFFClassifier("swin_nano", 3, 96, attention=Blur).eval()
    path = tmp_path / "own.safetensors"
    card = {"model": "mgff_swin_nano", "kwargs": {"img_size": 96}, "classes": ["a", "b", "c"]}
    save_checkpoint(path, model, card)
    sentence = r"own.safetensors: was trained with a part of its author's own, attention=Blur"
    for build in (build_from_checkpoint, lambda p: create_model("mgff_swin_nano", p)):
        with pytest.raises(CheckpointError, match=sentence):
            build(path)
    again = build_from_checkpoint(path, attention=Blur)
    x = images(96)
    assert torch.equal(again(x), model(x))
