"""`SwinTransformer(listing=True)` against a statement of that listing written anew: every token
attends to every token of the padded map, and pairs that may not meet are found by their places.
"""

import functools

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from mgff_tutorial import swin
from mgff_tutorial.models import create_model
from mgff_tutorial.support.errors import InputError
from mgff_tutorial.swin import SwinTransformer

TOY = dict(embed_dim=8, depths=(2, 2), num_heads=(1, 2), window_size=7, num_classes=5)
EIGHT = [name for name in swin.BUILDERS if name != "swin_nano"]


class Statement:
    """The listing on a map of tokens (B, H, W, C), one image at a time, with the weights of a
    model of ours. ``factor`` stands for dropout, ``branch`` for stochastic depth.
    """

    def __init__(self, model, window, factor=1.0, branch=1.0, norms=F.layer_norm, patch_norm=True):
        self.p = dict(model.state_dict())
        self.window, self.factor, self.branch = window, factor, branch
        self.norms, self.patch_norm = norms, patch_norm
        self.depths = [len(stage.blocks) for stage in model.layers]
        self.heads = [stage.blocks[0].attn.num_heads for stage in model.layers]

    def linear(self, name, x):
        return F.linear(x, self.p[f"{name}.weight"], self.p.get(f"{name}.bias"))

    def norm(self, name, x):
        return self.norms(x, x.shape[-1:], self.p[f"{name}.weight"], self.p[f"{name}.bias"])

    def pairs(self, height, width, shift):
        """(allowed to meet at all, penalty, offset row) of all pairs of a padded map's tokens."""
        w = self.window
        rows = torch.arange(height).repeat_interleave(width)
        columns = torch.arange(width).repeat(height)
        # where a token stands after the map has moved up and left by ``shift``
        r, c = (rows - shift) % height, (columns - shift) % width
        number = (r // w) * (width // w) + c // w
        together = number[:, None] == number[None, :]

        def part(place, length):  # untouched, last window, wrapped around
            return (place >= length - w).long() + (place >= length - shift).long()

        kind = 3 * part(r, height) + part(c, width)
        apart = kind[:, None] != kind[None, :] if shift else torch.zeros_like(together)
        dy = r[:, None] % w - r[None, :] % w + w - 1
        dx = c[:, None] % w - c[None, :] % w + w - 1
        return together, -100.0 * apart.float(), dy * (2 * w - 1) + dx

    def attention(self, name, x, heads, shifted):
        height, width, dim = x.shape
        below, right = -height % self.window, -width % self.window
        x = F.pad(x, (0, 0, 0, right, 0, below))
        tall, wide = x.shape[:2]
        shift = self.window // 2 if shifted else 0
        together, penalty, offset = self.pairs(tall, wide, shift)
        q, k, v = self.linear(f"{name}.qkv", x.reshape(-1, dim)).chunk(3, dim=1)
        out = []
        for h in range(heads):
            own = slice(h * dim // heads, (h + 1) * dim // heads)
            scores = q[:, own] @ k[:, own].T / (dim // heads) ** 0.5
            table = self.p[f"{name}.relative_position_bias_table"][:, h]
            scores = scores + table[offset] + penalty
            out.append(scores.masked_fill(~together, float("-inf")).softmax(1) @ v[:, own])
        out = self.linear(f"{name}.proj", torch.cat(out, 1)) * self.factor
        return out.view(tall, wide, dim)[:height, :width]

    def block(self, name, x, heads, shifted):
        x = x + self.branch * self.attention(
            f"{name}.attn", self.norm(f"{name}.norm1", x), heads, shifted
        )
        hidden = self.factor * F.gelu(self.linear(f"{name}.mlp.fc1", self.norm(f"{name}.norm2", x)))
        return x + self.branch * self.factor * self.linear(f"{name}.mlp.fc2", hidden)

    def __call__(self, images):
        return torch.stack([self.one(image) for image in images])

    def one(self, image):
        image = F.pad(image, (0, -image.shape[2] % 4, 0, -image.shape[1] % 4))
        x = F.conv2d(
            image[None], self.p["patch_embed.proj.weight"], self.p["patch_embed.proj.bias"], 4
        )[0].permute(1, 2, 0)
        if self.patch_norm:
            x = self.norm("patch_embed.norm", x)
        x = x * self.factor
        for i, depth in enumerate(self.depths):
            if i:  # the listing merges at the end of the stage before; the names here are timm's
                x = F.pad(x, (0, 0, 0, x.shape[1] % 2, 0, x.shape[0] % 2))
                four = [x[a::2, b::2] for b in (0, 1) for a in (0, 1)]
                x = self.norm(f"layers.{i}.downsample.norm", torch.cat(four, -1))
                x = self.linear(f"layers.{i}.downsample.reduction", x)
            for j in range(depth):
                x = self.block(f"layers.{i}.blocks.{j}", x, self.heads[i], j % 2 == 1)
        return self.linear("head.fc", self.norm("norm", x).mean((0, 1)))


def noisy(model):
    generator = torch.Generator().manual_seed(0)
    with torch.no_grad():
        for p in model.parameters():
            p.add_(torch.rand(p.shape, generator=generator).sub(0.5).mul(0.1))
    return model


@pytest.mark.parametrize("size", [(28, 28), (56, 56), (64, 40), (61, 97), (20, 84), (3, 5)])
@pytest.mark.parametrize("window", [7, 4])
def test_logits_and_gradients_are_the_listings(size, window):
    """28 x 28: one window covers the map of 7 x 7, and it is shifted and masked all the same."""
    model = noisy(SwinTransformer(**{**TOY, "window_size": window}, listing=True)).eval()
    x = torch.randn(2, 3, *size, generator=torch.Generator().manual_seed(1))
    parameters = dict(model.named_parameters())
    statement = Statement(model, window)
    statement.p.update(parameters)
    a, b = model(x), statement(x)
    torch.testing.assert_close(a, b, atol=1e-5, rtol=0)
    weights = torch.randn(a.shape, generator=torch.Generator().manual_seed(2))
    ours = torch.autograd.grad((a * weights).sum(), parameters.values())
    theirs = torch.autograd.grad((b * weights).sum(), parameters.values(), allow_unused=True)
    for name, one, other in zip(parameters, ours, theirs):
        other = torch.zeros_like(one) if other is None else other
        torch.testing.assert_close(one, other, atol=1e-4, rtol=1e-3, msg=lambda m, n=name: n + m)


def test_it_is_another_model_than_timms():
    """In the last stage of a 224-pixel Swin with windows of 7 one window covers the map: the
    listing shifts and masks there, timm does not.
    """
    x = torch.randn(1, 3, 28, 28, generator=torch.Generator().manual_seed(1))
    ours = noisy(SwinTransformer(**{**TOY, "img_size": 28}, listing=True)).eval()
    plain = SwinTransformer(**{**TOY, "img_size": 28}).eval()
    tables = {k: v for k, v in ours.state_dict().items() if v.shape == plain.state_dict()[k].shape}
    plain.load_state_dict(tables, strict=False)
    assert [any(b.shift) for s in ours.layers for b in s.blocks] == [False, True, False, True]
    assert not any(any(b.shift) for s in plain.layers for b in s.blocks)
    assert (ours(x) - plain(x)).abs().max() > 1e-3
    assert ours.layers[0].blocks[1].attn_mask.unique().tolist() == [-100.0, 0.0]


def test_dropout_has_the_listings_places(monkeypatch):
    """Dropout as a factor, so that its places show: on the tokens, after the projection of the
    attention, twice in the MLP; nowhere before the head.
    """
    model = noisy(SwinTransformer(**TOY, listing=True, drop_rate=0.2, drop_path_rate=0.0))
    x = torch.randn(1, 3, 40, 28, generator=torch.Generator().manual_seed(1))
    monkeypatch.setattr(nn.Dropout, "forward", lambda self, x: x * (1 + self.p))
    torch.testing.assert_close(model(x), Statement(model, 7, factor=1.2)(x), atol=1e-5, rtol=0)
    assert model.head.drop.p == 0 and model.pos_drop.p == 0.2
    plain = SwinTransformer(**TOY, drop_rate=0.2)
    assert plain.head.drop.p == 0.2 and plain.pos_drop.p == 0


def test_stochastic_depth_and_checkpointing(monkeypatch):
    model = noisy(SwinTransformer(**TOY, listing=True, drop_path_rate=0.3, use_checkpoint=True))
    assert all(stage.grad_checkpointing for stage in model.layers)
    for stage in model.layers:
        for block in stage.blocks:
            block.drop_path.rate = 0.5
    monkeypatch.setattr("mgff_tutorial.windows.stochastic_depth", lambda x, rate, listing: x * 0.25)
    x = torch.randn(1, 3, 28, 28, generator=torch.Generator().manual_seed(1))
    torch.testing.assert_close(model(x), Statement(model, 7, branch=0.25)(x), atol=1e-5, rtol=0)
    monkeypatch.undo()
    torch.manual_seed(5)
    kept = model.layers[0].blocks[1].drop_path(torch.ones(1000, 1, 1))
    torch.manual_seed(5)
    expected = (0.5 + torch.rand(1000, 1, 1)).floor() / 0.5  # the listing's draw
    assert torch.equal(kept, expected)


def test_norms_can_be_others():
    norm = functools.partial(nn.LayerNorm, eps=1e-2)
    model = noisy(SwinTransformer(**TOY, listing=True, norm_layer=norm, patch_norm=False)).eval()
    assert isinstance(model.patch_embed.norm, nn.Identity)
    x = torch.randn(1, 3, 28, 28, generator=torch.Generator().manual_seed(1))
    norms = functools.partial(F.layer_norm, eps=1e-2)
    expected = Statement(model, 7, norms=norms, patch_norm=False)(x)
    torch.testing.assert_close(model.eval()(x), expected, atol=1e-5, rtol=0)


@pytest.mark.parametrize("name", EIGHT)
def test_the_eight_builders_take_every_option(name):
    options = dict(
        listing=True,
        drop_rate=0.1,
        attn_drop_rate=0.1,
        drop_path_rate=0.2,
        patch_norm=False,
        norm_layer=functools.partial(nn.LayerNorm, eps=1e-3),
        use_checkpoint=True,
        qkv_bias=False,
        mlp_ratio=2.0,
    )
    with torch.device("meta"):
        model = getattr(swin, name)(num_classes=3, **options)
    block = model.layers[3].blocks[1]
    window = 12 if "window12" in name else 7
    assert block.window == (window, window) and block.shift == (window // 2, window // 2)
    assert block.norm1.eps == 1e-3 and block.attn.qkv.bias is None and block.mlp.drop.p == 0.1
    assert model.head.fc.out_features == 3 and model.layers[0].grad_checkpointing
    with pytest.raises(
        InputError, match="Unknown option of .*'drop_rat'; did you mean 'drop_rate'"
    ):
        getattr(swin, name)(drop_rat=0.1)


def test_a_whole_extra_patch_is_not_copied():
    """Where only one side is no multiple of 4 the listing pads the other side as well, by a whole
    patch: 17 x 16 would give 5 x 5 tokens. Ours has 5 x 4.
    """
    model = SwinTransformer(**TOY, listing=True)
    assert model.tokens(torch.zeros(1, 3, 17, 16)).shape[1:3] == (5, 4)


def test_it_is_kept_with_a_checkpoint(tmp_path):
    from mgff_tutorial.models import build_from_checkpoint
    from mgff_tutorial.support.checkpoints import save_checkpoint

    model = noisy(create_model("swin_nano", num_classes=2, listing=True)).eval()
    card = {"model": "swin_nano", "kwargs": {"listing": True}, "classes": ["a", "b"]}
    save_checkpoint(tmp_path / "listing.safetensors", model, card)
    x = torch.randn(1, 3, 96, 96)
    assert torch.equal(build_from_checkpoint(tmp_path / "listing.safetensors")(x), model(x))
