"""Attention of timm ViTs: equal to an unfused computation, one pass, and rules that do what they
say.
"""

import pytest
import timm
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.overrides import TorchFunctionMode

from mgff_tutorial.cropper import ViTCropper
from mgff_tutorial.pretrained import vit_nano
from mgff_tutorial.response import (
    DEFAULT_RULE,
    RULES,
    LayerAttention,
    Rule,
    ViTRecord,
    affinity,
    clip_outliers,
    record_attention,
    response_map,
    rule_of,
    token_weights,
)
from mgff_tutorial.support.errors import InputError

MODELS = {  # prefix tokens, rotary positions, relative biases, no class token: one of each family
    "vit_tiny_patch16_224": dict(img_size=(64, 96)),
    "vit_small_patch14_reg4_dinov2": dict(img_size=56),
    "deit_tiny_distilled_patch16_224": dict(img_size=64),
    "vit_base_patch16_siglip_224": dict(img_size=48),
    "beit_base_patch16_224": dict(img_size=48),
    "eva02_tiny_patch14_224": dict(img_size=56),
    "vit_relpos_small_patch16_224": dict(img_size=48),
}


def build(name="vit_tiny_patch16_224", depth=2, **kwargs):
    torch.manual_seed(0)
    return timm.create_model(
        name, depth=depth, num_classes=0, **{**MODELS.get(name, {}), **kwargs}
    ).eval()


def images(vit, batch=2, seed=1):
    size = vit.patch_embed.img_size
    return torch.randn(batch, 3, *size, generator=torch.Generator().manual_seed(seed))


@pytest.mark.parametrize("name", MODELS)
@torch.no_grad()
def test_attention_of_any_family_equals_the_unfused_softmax(name):
    vit = build(name)
    x = images(vit)
    fused = record_attention(vit, x)
    for block in vit.blocks:
        block.attn.fused_attn = False
    plain = record_attention(vit, x)
    tokens = fused.prefix + fused.grid[0] * fused.grid[1]
    for a, b in zip(fused.layers, plain.layers):
        assert a.matrix().shape[-2:] == (tokens, tokens)
        torch.testing.assert_close(a.matrix().sum(-1), torch.ones(a.matrix().shape[:-1]))
        torch.testing.assert_close(a.matrix(), b.matrix(), atol=1e-6, rtol=1e-4)
        torch.testing.assert_close(
            a.matrix(slice(0, 1)), b.matrix()[:, :, :1], atol=1e-6, rtol=1e-4
        )
    torch.testing.assert_close(fused.tokens, vit.forward_features(x), atol=1e-5, rtol=1e-4)
    for rule in RULES:
        out = response_map(vit, x, rule)
        assert out.shape == (2, 1, *x.shape[-2:]) and out.isfinite().all(), rule


@torch.no_grad()
def test_attention_is_that_of_the_block():
    """Independent of how it was captured: A V, projected, must be what the block's attention
    returns.
    """
    vit = build(depth=3)
    x, inside = images(vit), {}
    attention = vit.blocks[1].attn
    hook = attention.register_forward_hook(lambda m, args, out: inside.update(x=args[0], out=out))
    record = record_attention(vit, x, last=2)
    hook.remove()
    value = (
        attention.qkv(inside["x"])
        .chunk(3, dim=-1)[2]
        .unflatten(-1, (attention.num_heads, -1))
        .transpose(1, 2)
    )
    mixed = (record.layers[0].matrix() @ value).transpose(1, 2).flatten(2)
    torch.testing.assert_close(attention.proj(mixed), inside["out"], atol=1e-5, rtol=1e-4)


class CountCalls(TorchFunctionMode):
    def __init__(self):
        super().__init__()
        self.fused = 0

    def __torch_function__(self, func, types, args=(), kwargs=None):
        self.fused += func is F.scaled_dot_product_attention
        return func(*args, **(kwargs or {}))


@torch.no_grad()
def test_one_pass_with_fused_attention_everywhere_and_hooks_gone():
    vit, passes = build(depth=4), []
    hook = vit.patch_embed.register_forward_hook(lambda *_: passes.append(1))
    with CountCalls() as count:
        record = record_attention(vit, images(vit), last=1)
    hook.remove()
    assert count.fused == 4 and len(passes) == 1 and len(record.layers) == 1
    assert not any(m._forward_hooks or m._forward_pre_hooks for m in vit.modules())


def fake_record(matrices, prefix=1, grid=(2, 2)):
    """A record whose layers have these (heads, N, N) matrices, batch 1."""
    layers = [LayerAttention(weights=m[None]) for m in matrices]
    return ViTRecord(
        layers, torch.zeros(1, prefix + grid[0] * grid[1], 3), prefix, grid, prefix > 0
    )


def random_attention(layers=3, heads=2, tokens=5, seed=0):
    return torch.randn(
        layers, heads, tokens, tokens, generator=torch.Generator().manual_seed(seed)
    ).softmax(-1)


def test_literal_rule_sums_columns_of_all_layers_without_the_class_token():
    matrices = random_attention()
    expected = matrices.mean(dim=1).sum(dim=0)[1:, 1:].sum(dim=0)
    torch.testing.assert_close(RULES["literal"].weigh(fake_record(matrices))[0], expected)


def test_row_sums_say_nothing():
    torch.testing.assert_close(random_attention().sum(dim=-1), torch.ones(3, 2, 5))


@pytest.mark.parametrize("name", [n for n, r in RULES.items()])
def test_uniform_attention_gives_a_flat_map(name):
    record = fake_record(torch.full((3, 2, 5, 5), 0.2))
    weights = RULES[name].weigh(record)
    assert weights.shape == (1, 4)
    torch.testing.assert_close(weights, weights[:, :1].expand(1, 4), atol=1e-5, rtol=0)


def test_class_token_rule_is_row_zero_and_patches_ask_where_there_is_none():
    matrices = random_attention()
    torch.testing.assert_close(
        RULES["class_token"].weigh(fake_record(matrices))[0], matrices.mean(dim=(0, 1))[0, 1:]
    )
    bare = fake_record(random_attention(tokens=4), prefix=0)
    torch.testing.assert_close(
        RULES["class_token"].weigh(bare)[0], random_attention(tokens=4).mean(dim=(0, 1, 2))
    )


def test_rollout_multiplies_from_the_last_layer_down():
    a, b = random_attention(layers=2).mean(dim=1)
    eye = torch.eye(5)
    expected = ((b + eye) / 2 @ ((a + eye) / 2))[0, 1:]
    torch.testing.assert_close(
        RULES["rollout"].weigh(fake_record(random_attention(layers=2)))[0], expected
    )


def test_clipping_touches_outliers_only():
    weights = torch.ones(2, 40)
    weights[0, 7] = 100.0
    clipped = clip_outliers(weights)
    torch.testing.assert_close(clipped, torch.ones(2, 40))


@torch.no_grad()
def test_map_keeps_the_places_of_the_patches():
    """Rows stay rows on a grid that is not square, and the map is in the image's own pixels."""
    vit = build(img_size=(64, 96))
    ramp = Rule(lambda record: torch.arange(24.0).expand(2, -1), 1)
    weights = token_weights(vit, images(vit), ramp)
    torch.testing.assert_close(weights[0], torch.arange(24.0).view(4, 6))
    big = response_map(vit, images(vit), ramp)[0, 0]
    assert big.shape == (64, 96)
    torch.testing.assert_close(
        F.avg_pool2d(big[None, None, 16:48, 16:80], 16)[0, 0], weights[0, 1:3, 1:5]
    )


@torch.no_grad()
def test_bad_input():
    vit = build()
    x = images(vit)
    with pytest.raises(InputError, match="rule"):
        response_map(vit, x, "litteral")
    with pytest.raises(InputError, match="vit"):
        response_map(timm.create_model("resnet18"), x)
    with pytest.raises(InputError, match="x: "):
        response_map(vit, x[..., :90])
    with pytest.raises(InputError, match="x: "):
        response_map(vit, x[0])
    with pytest.raises(InputError, match="x: "):
        response_map(vit, (x * 255).to(torch.uint8))
    assert len(record_attention(vit, x, last=7).layers) == len(vit.blocks)
    dropping = build(patch_drop_rate=0.5).train()
    with pytest.raises(InputError, match="tokens"):
        record_attention(dropping, x)


@settings(deadline=None, max_examples=10)
@given(
    rows=st.integers(1, 5),
    columns=st.integers(1, 5),
    batch=st.integers(1, 3),
    rule=st.sampled_from(sorted(RULES)),
)
@torch.no_grad()
def test_any_grid(rows, columns, batch, rule):
    vit = timm.create_model(
        "vit_tiny_patch16_224", depth=1, num_classes=0, img_size=(16 * rows, 16 * columns)
    ).eval()
    out = response_map(vit, images(vit, batch), rule)
    assert out.shape == (batch, 1, 16 * rows, 16 * columns) and out.isfinite().all()


def test_affinity_is_the_squared_mean_cosine_of_queries_and_values():
    torch.manual_seed(0)
    query, key, value = (torch.randn(1, 2, 1 + 4, 3) for _ in range(3))
    record = ViTRecord(
        [LayerAttention(query, key, value, 1.0)], torch.randn(1, 5, 6), 1, (2, 2), True
    )

    def cosine(kind, i, j):
        joined = (
            kind[0].permute(1, 0, 2).flatten(1)[1:]
        )  # heads side by side, without the class token
        return F.cosine_similarity(joined[i], joined[j], dim=0)

    for kinds, tensors in ((("query",), (query,)), (("query", "value"), (query, value))):
        found = affinity(record, kinds)
        for i in range(4):
            for j in range(4):
                mean = sum(cosine(t, i, j) for t in tensors) / len(tensors)
                torch.testing.assert_close(found[0, i, j], mean.clamp(min=1e-3) ** 2)
    torch.testing.assert_close(affinity(record), affinity(record, ("query",)))


def test_a_vit_may_name_its_rule_and_the_cropper_follows():
    vit = vit_nano()
    assert (
        rule_of(vit) == "attended_object_values"
        and rule_of(torch.nn.Identity()) == DEFAULT_RULE == "attended_object"
    )
    x = torch.rand(2, 3, 96, 96)
    own, default = (token_weights(vit.eval(), x, rule) for rule in (None, DEFAULT_RULE))
    torch.testing.assert_close(own, token_weights(vit, x, "attended_object_values"))
    assert not torch.allclose(own, default)
    assert (
        ViTCropper(vit).rule is RULES["attended_object_values"]
        and ViTCropper(vit, "literal").rule is RULES["literal"]
    )
    del vit.response_rule
    assert ViTCropper(vit).rule is RULES[DEFAULT_RULE]
    vit.response_rule = "attended_objekt"
    with pytest.raises(InputError, match="attended_objekt"):
        ViTCropper(vit)
