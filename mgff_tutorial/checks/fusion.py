"""Checks of notebook 09: counting nodes, entering through a map, ablations as options, and a
backbone of one's own.
"""

import torch
from torch import nn

from ..mgff import MGFF
from ..options import resolve_options
from ..support.errors import InputError
from .core import ask, exercise, expect, expect_close, expect_shape

_CHANNELS, _GRIDS = (4, 8, 16, 16), ((8, 8), (4, 4), (2, 2), (2, 2))


@exercise("Exercise 9.1")
def check_count_nodes(count_nodes):
    """Nodes and super-nodes for Swin-B at 384, for a ViT, and for a choice of granularities."""
    swin, wide = ((48, 48), (24, 24), (12, 12), (12, 12)), ((56, 80), (28, 40), (14, 20), (7, 10))
    for grids, chosen in (
        (swin, (0, 1, 2, 3)),
        (((14, 14),) * 4, (0, 1, 2, 3)),
        (swin, (2, 3)),
        (wide, (0, 3)),
    ):
        height, width = grids[-1]
        nodes = height * width * len(chosen)
        right = (nodes, max(nodes // 32, 8))
        got = ask(count_nodes, grids, chosen)
        hint = ""
        if isinstance(got, (tuple, list)) and len(got) == 2:
            got = tuple(got)
            if got[0] == sum(h * w for h, w in (grids[g] for g in chosen)):
                hint = "After the alignment every map has the LAST grid."
            elif got[0] == height * width * 4 and len(chosen) < 4:
                hint = "Only the chosen granularities give nodes."
            elif got[0] == nodes and got[1] == nodes // 32:
                hint = "There are at least 8 super-nodes."
            elif got[0] == nodes and got[1] == nodes / 32:
                hint = "Divide without remainder (//)."
        else:
            hint = "Return a pair (nodes, super_nodes)."
        expect(
            got == right,
            f"grids {grids}, granularities {chosen}: expected {right}, got {got}. {hint}".rstrip(),
        )


@exercise("Exercise 9.2")
def check_enter(enter):
    """The update must reach every position of its own image, and nothing else."""
    generator = torch.Generator().manual_seed(0)
    m = torch.randn(4, 4, 4, 4, generator=generator)
    vector, gate = torch.randn(4, 4, generator=generator), torch.randn(4, generator=generator)
    right = m + (gate * vector)[:, :, None, None]
    got = ask(enter, m, vector, gate)
    expect_shape("map with the update", got, m.shape)
    hint = ""
    if torch.allclose(got, m + vector[:, :, None, None], atol=1e-6):
        hint = "The gate is not used: at the start it must let nothing through."
    elif torch.allclose(got, m + gate * vector, atol=1e-6):
        hint = "(B, C) was spread over rows and columns; give it the shape (B, C, 1, 1)."
    elif torch.allclose(got, m * (1 + gate * vector)[:, :, None, None], atol=1e-6):
        hint = "The update is added, not multiplied."
    elif torch.allclose(got.mean((2, 3)), right.mean((2, 3)), atol=1e-5):
        hint = "The mean is right, but the update must reach EVERY position alike."
    expect_close("map with the update", got, right, 1e-5, hint)
    same = ask(enter, m, vector, torch.zeros(4))
    expect(
        torch.equal(same, m), "With a gate of zeros the map must come back unchanged, bit by bit."
    )


@exercise("Exercise 9.3")
def check_ablations(ablation):
    """Each dictionary must leave out the named part and nothing else."""
    wanted = {
        "no self-attention": {"attention": False},
        "no channel attention": {"channel_attention": False},
        "no graph": {"graph": False},
        "no super-nodes": {"pool": "none"},
        "last map alone": {"granularities": (3,)},
        "without the finest map": {"granularities": (1, 2, 3)},
    }
    for name, options in wanted.items():
        got = ask(ablation, name)
        expect(
            isinstance(got, dict),
            f"{name!r}: expected a dict of options, got {type(got).__name__}.",
        )
        try:
            full = vars(resolve_options("default", **got))
            MGFF(_CHANNELS, _GRIDS, "default", **got)
        except (InputError, TypeError) as error:
            expect(False, f"{name!r}: MGFF refuses these options: {error}")
        right = vars(resolve_options("default", **options))
        wrong = sorted(key for key in right if full[key] != right[key])
        part = next(iter(options))
        if part in wrong:
            hint = {"granularities": "granularities are numbered from 0 (finest) to 3 (last)."}.get(
                part, ""
            )
            expect(
                False,
                f"{name!r}: option {part!r} should be {right[part]!r}, got "
                f"{full[part]!r}. {hint}".rstrip(),
            )
        expect(
            not wrong,
            f"{name!r}: an ablation changes one thing; you also change {', '.join(wrong)}.",
        )


@exercise("Exercise 9.4", answer="own_backbone", points=4)
def check_own_backbone(make):
    """A backbone of the reader's own: four maps in order, as announced, with gradients to every
    weight.
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
    expect(
        len(channels) == 4 and len(grids) == 4,
        f"expected four channels and four grids, got {len(channels)} and {len(grids)}.",
    )
    x = torch.randn(2, 3, 64, 64, generator=torch.Generator().manual_seed(0))
    maps = ask(module, x)
    expect(
        isinstance(maps, (tuple, list)) and len(maps) == 4,
        "the module must return a list of four maps.",
    )
    for i, (m, c, grid) in enumerate(zip(maps, channels, grids)):
        expect_shape(
            f"map {i + 1} for images of 64 x 64",
            m,
            (2, c, *grid),
            "Channels and grids must be those that you announce.",
        )
    areas = [m.shape[2] * m.shape[3] for m in maps]
    expect(
        areas == sorted(areas, reverse=True),
        f"the maps must come from the finest to the coarsest, got areas {areas}.",
    )
    expect(areas[0] > areas[-1], "all four maps have one size; a pyramid needs strides.")
    fusion = MGFF(tuple(channels), tuple(tuple(g) for g in grids))
    with torch.no_grad():
        fusion.gate.fill_(1.0)
    fusion([m for m in maps])["embedding"].square().sum().backward()
    silent = [name for name, p in module.named_parameters() if p.requires_grad and p.grad is None]
    expect(
        not silent,
        f"no gradient reaches {', '.join(silent[:3])}: is that layer used in the forward pass?",
    )
