"""Checks of notebook 09: counting nodes, how much of the fusion is heard, ablations as options, and
a backbone of one's own.
"""

import torch
from torch import nn

from ..mgff import MGFF
from ..support.errors import InputError
from ..support.modes import evaluation_mode
from .cases import ask_without_trace, compare, draw
from .core import ask, exercise, expect, expect_shape

_CHANNELS, _GRIDS = (4, 8, 16, 16), ((8, 8), (4, 4), (2, 2), (2, 2))


def _count(grids, chosen, per=32, least=8, last=None):
    height, width = grids[-1] if last is None else grids[last]
    nodes = height * width * len(chosen)
    return nodes, max(nodes // per, least)


@exercise("Exercise 9.1")
def check_count_nodes(count_nodes):
    """Nodes and super-nodes for Swin-B at 384, for a ViT, for oblong images and every choice."""
    swin = ((48, 48), (24, 24), (12, 12), (12, 12))
    wide = ((56, 80), (28, 40), (14, 20), (7, 10))
    cases = [(swin, (0, 1, 2, 3)), (((14, 14),) * 4, (0, 1, 2, 3)), (swin, (2, 3)), (wide, (0, 3))]
    cases += [
        (((192, 192), (96, 96), (48, 48), (24, 24)), (0, 1, 2, 3)),
        (swin, (0,)),
        (((16, 24), (8, 12), (4, 6), (4, 6)), (0, 1, 3)),
        (wide, (0, 1, 2, 3)),
    ]
    for _ in range(4):
        h, w = draw.integers(2, 3, 30)
        grids = ((8 * h, 8 * w), (4 * h, 4 * w), (2 * h, 2 * w), (h, w))
        cases.append((grids, tuple(sorted(draw.integers(draw.integer(1, 4), 0, 3)))))
    compare(
        count_nodes,
        _count,
        cases,
        [
            (
                "After the alignment every map has the LAST grid.",
                lambda g, c: (
                    n := sum(h * w for h, w in (g[i] for i in c)),
                    max(n // 32, 8),
                ),
            ),
            (
                "After the alignment all maps have the grid of the LAST map, not of the first.",
                lambda g, c: _count(g, c, last=0),
            ),
            (
                "Only the chosen granularities give nodes.",
                lambda g, c: _count(g, (0, 1, 2, 3)),
            ),
            (
                "Every chosen granularity gives nodes of its own.",
                lambda g, c: _count(g, (0,)),
            ),
            ("There are at least 8 super-nodes.", lambda g, c: _count(g, c, least=0)),
            (
                "8 is the fewest, not the most.",
                lambda g, c: (_count(g, c)[0], min(_count(g, c)[0] // 32, 8)),
            ),
            (
                "Divide without remainder (//).",
                lambda g, c: (_count(g, c)[0], max(_count(g, c)[0] / 32, 8)),
            ),
            (
                "Divide without remainder: 33 nodes make one super-node.",
                lambda g, c: (_count(g, c)[0], max(-(-_count(g, c)[0] // 32), 8)),
            ),
            (
                "Divide without remainder; do not round to the nearest.",
                lambda g, c: (_count(g, c)[0], max(round(_count(g, c)[0] / 32), 8)),
            ),
            (
                "The nodes come first, then the super-nodes.",
                lambda g, c: _count(g, c)[::-1],
            ),
            ("Return a pair (nodes, super_nodes).", lambda g, c: _count(g, c)[0]),
            (
                "Super-nodes are counted from the nodes of all maps together.",
                lambda g, c: (_count(g, c)[0], max(g[-1][0] * g[-1][1] // 32, 8)),
            ),
        ],
        describe=lambda g, c: f"grids {g}, granularities {c}",
        form="two integers (nodes, super_nodes)",
        hint="Every chosen map is aligned to the last grid; one super-node for 32 nodes, at least "
        "8.",
        integers=True,
    )


def _share(last_map, vector, gate, norm=lambda t: t.norm(dim=1), total=None):
    pooled, update = norm(last_map.mean((2, 3))), norm(gate * vector)
    return update / (pooled + update if total is None else total(pooled, update))


@exercise("Exercise 9.2")
def check_share_heard(share_heard):
    """Open, closed and negative gates; single channels of them; maps that are not square."""
    cases = []
    for b, c, h, w in ((2, 4, 3, 5), (4, 4, 4, 4), (1, 6, 2, 3), (3, 2, 5, 1)):
        last_map = draw.normal(b, c, h, w) + draw.normal(b, c, 1, 1)
        cases.append((last_map, 3 * draw.normal(b, c), draw.normal(c)))
    cases.append((draw.normal(3, 5, 2, 2), draw.normal(3, 5), torch.zeros(5)))
    cases.append((draw.normal(2, 3, 2, 4), draw.normal(2, 3), torch.tensor([0.0, 0.0, -2.0])))
    compare(
        share_heard,
        _share,
        cases,
        [
            (
                "The gate is not used: at the start it lets nothing through.",
                lambda m, v, g: _share(m, v, torch.ones_like(g)),
            ),
            (
                "The gate multiplies the vector channel by channel, before its length is taken.",
                lambda m, v, g: _share(m, v, g.norm()[None]),
            ),
            (
                "The classifier hears the MEAN over positions; take it before the length.",
                lambda m, v, g: (
                    (g * v).norm(dim=1) / (m.flatten(1).norm(dim=1) + (g * v).norm(dim=1))
                ),
            ),
            (
                "The mean over positions, not the sum.",
                lambda m, v, g: _share(m * m.shape[2] * m.shape[3], v, g),
            ),
            (
                "The mean over positions, not the maximum.",
                lambda m, v, g: _share(m.amax((2, 3), keepdim=True), v, g),
            ),
            (
                "That is the ratio to the pooled map; the share is of both lengths together.",
                lambda m, v, g: _share(m, v, g, total=lambda p, u: p),
            ),
            (
                "Divide by the sum of the two lengths, not by the length of the sum.",
                lambda m, v, g: (g * v).norm(dim=1) / (m.mean((2, 3)) + g * v).norm(dim=1),
            ),
            (
                "Lengths, not their squares: the root is missing.",
                lambda m, v, g: _share(m, v, g, lambda t: t.square().sum(1)),
            ),
            (
                "The length of a vector is the root of the sum of squares, not the sum of sizes.",
                lambda m, v, g: _share(m, v, g, lambda t: t.abs().sum(1)),
            ),
            (
                "That is the share of the map; the share of the UPDATE is asked for.",
                lambda m, v, g: 1 - _share(m, v, g),
            ),
            (
                "One share for each image, not for all together.",
                lambda m, v, g: _share(m, v, g).mean(),
            ),
            (
                "The lengths are of each image, not of the whole batch.",
                lambda m, v, g: _share(m, v, g, lambda t: t.norm().expand(len(t))),
            ),
            (
                "A share is between 0 and 1: divide by both lengths together.",
                lambda m, v, g: (g * v).norm(dim=1),
            ),
        ],
        describe=lambda m, v, g: f"a last map {tuple(m.shape)} and a gate of {len(g)} channels",
        form="a (B,) tensor",
        hint="p is the last map's mean over positions, u is gate * vector; the share is "
        "|u| / (|p| + |u|) for each image.",
    )


_ABLATIONS = {
    "no self-attention": {"self_attention": False},
    "no channel attention": {"channel_attention": False},
    "no graph": {"graph": False},
    "no super-nodes": {"pool": "none"},
    "last map alone": {"granularities": (3,)},
    "without the finest map": {"granularities": (1, 2, 3)},
}
_PARTS = {
    "no self-attention": "the two attentions have an option each; switch off the one over "
    "positions.",
    "no channel attention": "the two attentions have an option each; switch off the one over "
    "channels.",
    "no graph": "the graph convolution has a switch of its own.",
    "no super-nodes": "super-nodes are made by pooling; which value of its option makes none?",
    "last map alone": "granularities are numbered from 0 (finest) to 3 (last).",
    "without the finest map": "granularities are numbered from 0 (finest) to 3 (last).",
}


def _options(changes):
    """All options of an MGFF with these changes, by name."""
    options = MGFF(_CHANNELS, _GRIDS, "default", **changes).options
    return dict(options if isinstance(options, dict) else vars(options))


@exercise("Exercise 9.3")
def check_ablations(ablation):
    """Each dictionary must leave out the named part and nothing else."""
    default = _options({})
    for name in draw.shuffled(list(_ABLATIONS)):
        got = ask_without_trace(ablation, name)
        expect(
            isinstance(got, dict) and all(isinstance(key, str) for key in got),
            f"{name!r}: expected a dict of options, got a {type(got).__name__}.",
        )
        try:
            full = _options(got)
        except (InputError, TypeError, ValueError) as error:
            expect(False, f"{name!r}: MGFF refuses these options: {error}")
        right = _options(_ABLATIONS[name])
        (part,) = (key for key in right if right[key] != default[key])
        expect(
            full[part] == right[part],
            f"{name!r}: with these options {part!r} is {full[part]!r}, so the part named is not "
            f"what is left out. Look again: {_PARTS[name]}",
        )
        more = sorted(key for key in right if full[key] != right[key])
        expect(
            not more,
            f"{name!r}: an ablation changes one thing; you also change {', '.join(more)}.",
        )


@exercise("Exercise 9.4", answer="own_backbone", points=4)
def check_own_backbone(make):
    """A backbone of the reader's own: four maps in order, as announced, each image by itself, with
    gradients to every weight.
    """
    made = ask(make)
    expect(
        isinstance(made, (tuple, list)) and len(made) == 3,
        "expected three things: the module, the channels of its four maps, and their grids.",
    )
    module, channels, grids = made
    expect(
        isinstance(module, nn.Module),
        f"the first must be an nn.Module, got {type(module).__name__}.",
    )
    try:
        channels, grids = [int(c) for c in channels], [tuple(int(n) for n in g) for g in grids]
    except (TypeError, ValueError):
        expect(False, "channels are four integers, grids four pairs (height, width) of integers.")
    expect(
        len(channels) == 4 and len(grids) == 4 and all(len(g) == 2 for g in grids),
        f"expected four channels and four grids (height, width), got {channels} and {grids}.",
    )
    maps = []
    for batch in (3, 2):
        x = draw.normal(batch, 3, 64, 64)
        maps = ask(module, x)
        expect(
            isinstance(maps, (tuple, list)) and len(maps) == 4,
            "the module must return a list of four maps.",
        )
        for i, (m, c, grid) in enumerate(zip(maps, channels, grids)):
            expect_shape(
                f"map {i + 1} for {batch} images of 64 x 64",
                m,
                (batch, c, *grid),
                "Channels and grids must be those that you announce.",
            )
    areas = [h * w for h, w in grids]
    expect(
        areas == sorted(areas, reverse=True),
        f"the maps must come from the finest to the coarsest, got areas {areas}.",
    )
    expect(areas[0] > areas[-1], "all four maps have one size; a pyramid needs strides.")
    expect(
        all(m.requires_grad for m in maps),
        "no gradient can flow: some map does not come from learned weights, or from no_grad.",
    )
    _expect_each_image_by_itself(module, draw.normal(2, 3, 64, 64))
    fusion = MGFF(tuple(channels), tuple(grids))
    with torch.no_grad():
        fusion.gate.fill_(1.0)
    fusion(list(maps))["embedding"].square().sum().backward()
    silent = [name for name, p in module.named_parameters() if p.requires_grad and p.grad is None]
    expect(
        not silent,
        f"no gradient reaches {', '.join(silent[:3])}: is that layer used in the forward pass?",
    )


def _expect_each_image_by_itself(module, x):
    """In evaluation, an image's maps depend on that image, on all four levels, and on no other."""
    with evaluation_mode(module), torch.no_grad():
        together, other = ask(module, x), x.clone()
        other[0] += 1 + x[0].abs()
        changed = ask(module, other)
    for i, (a, b) in enumerate(zip(together, changed)):
        expect(
            torch.allclose(a[1], b[1], atol=1e-5),
            f"map {i + 1}: another image of the batch changes an image's map; each must be "
            "computed by itself.",
        )
        expect(
            not torch.equal(a[0], b[0]),
            f"map {i + 1} does not depend on the image.",
        )
