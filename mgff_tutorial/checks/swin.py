"""Checks of notebook 04: shapes of the pyramid, parameters of a block, skipping rates, old
names.
"""

import re

from .cases import compare, draw
from .core import exercise


def _shapes(size, width, stages=(1, 2, 3, 3), up=True, start=4):
    cuts = [start * 2**s for s in stages]
    sides = [-(-size // cut) if up else size // cut for cut in cuts]
    return [(side, side, width * 2**s) for side, s in zip(sides, stages)]


@exercise("Exercise 4.1")
def check_map_shapes(map_shapes):
    """The four maps that MGFF takes, at even and odd sizes."""
    cases = [(384, 128), (96, 32), (224, 96), (100, 32), (37, 8), (4, 16)]
    cases += [(draw.integer(20, 600), 2 * draw.integer(4, 80)) for _ in range(6)]
    compare(
        map_shapes,
        _shapes,
        cases,
        [
            (
                "Those are the maps before merging; MGFF taps each stage after the merging that "
                "ends it.",
                lambda s, w: _shapes(s, w, (0, 1, 2, 3)),
            ),
            (
                "There is no merging after the last stage: maps three and four have the same "
                "shape.",
                lambda s, w: _shapes(s, w, (1, 2, 3, 4)),
            ),
            (
                "Odd grids are padded: round up when you cut and when you halve.",
                lambda s, w: _shapes(s, w, up=False),
            ),
            (
                "Odd grids are padded: round up when you halve, too.",
                lambda s, w: [
                    (-(-s // 4) // 2**i, -(-s // 4) // 2**i, w * 2**i) for i in (1, 2, 3, 3)
                ],
            ),
            (
                "Each merging doubles the channels.",
                lambda s, w: [(h, h, w) for h, _, _ in _shapes(s, w)],
            ),
            (
                "Four times the channels are projected to twice as many.",
                lambda s, w: [
                    (a, b, w * 4**i) for (a, b, _), i in zip(_shapes(s, w), (1, 2, 3, 3))
                ],
            ),
            (
                "The channels come last: (H, W, C).",
                lambda s, w: [(c, a, b) for a, b, c in _shapes(s, w)],
            ),
            (
                "The patches of 4 pixels are missing: the first grid has size / 4 rows.",
                lambda s, w: _shapes(s, w, start=1),
            ),
            ("There are four maps, the last stage included.", lambda s, w: _shapes(s, w)[:3]),
        ],
        describe=lambda s, w: f"maps of a {s} x {s} image at width {w}",
        form="a list of four shapes (H, W, C)",
        hint="Patches of 4, then three times: halve the grid, rounding up, and double the "
        "channels; the last stage merges nothing.",
        integers=True,
    )


def _block(d, h, w, table=True, norms=2, biases=True):
    return (
        12 * d * d
        + 9 * d * biases
        + 2 * d * norms
        + (0 if not table else (2 * w - 1) ** 2 * (h if table is True else 1))
    )


@exercise("Exercise 4.2", points=2)
def check_block_parameters(block_parameters):
    """Parameters of one block; the packaged block has as many (a test compares)."""
    cases = [(32, 1, 6), (128, 4, 12), (96, 3, 7)]
    for _ in range(4):
        heads = draw.integer(2, 6)
        cases.append((heads * draw.integer(3, 30), heads, draw.integer(2, 12)))
    compare(
        block_parameters,
        _block,
        cases,
        [
            (
                "The relative position bias table is missing: (2 w - 1)^2 rows, one column per "
                "head.",
                lambda d, h, w: _block(d, h, w, table=False),
            ),
            (
                "The table has one column for each head.",
                lambda d, h, w: _block(d, h, w, table="one"),
            ),
            (
                "The two layer norms are missing: a scale and a shift for each channel.",
                lambda d, h, w: _block(d, h, w, norms=0),
            ),
            ("There are two layer norms in a block.", lambda d, h, w: _block(d, h, w, norms=1)),
            (
                "The four linear layers have biases: 3C, C, 4C and C.",
                lambda d, h, w: _block(d, h, w, biases=False),
            ),
            (
                "The weights are right; biases, norms and table are missing.",
                lambda d, h, w: 12 * d * d,
            ),
            (
                "Along each side there are 2 w - 1 displacements, not w.",
                lambda d, h, w: _block(d, h, w, table=False) + w**2 * h,
            ),
            (
                "Along each side there are 2 w - 1 displacements, not 2 w.",
                lambda d, h, w: _block(d, h, w, table=False) + (2 * w) ** 2 * h,
            ),
            (
                "The table has (2 w - 1) * (2 w - 1) rows: displacements along both sides.",
                lambda d, h, w: _block(d, h, w, table=False) + (2 * w - 1) * h,
            ),
            (
                "The output projection of attention is missing: C * C weights and C biases.",
                lambda d, h, w: _block(d, h, w) - d * d - d,
            ),
            ("The MLP is missing.", lambda d, h, w: _block(d, h, w) - 8 * d * d - 5 * d),
            (
                "The heads share the projections: each projects to C / heads channels.",
                lambda d, h, w: _block(d, h, w) + (h - 1) * (3 * d * d + 3 * d),
            ),
        ],
        describe=lambda d, h, w: f"parameters of a block with {d} channels, {h} heads, window {w}",
        form="an integer",
        hint="Two norms, queries-keys-values, projection, two layers of the MLP (4C inside), all "
        "with biases, and the bias table.",
        integers=True,
    )


def _cut(flat, depths):
    return [flat[sum(depths[:s]) : sum(depths[: s + 1])] for s in range(len(depths))]


def _rates(depths, last, top=0, bottom=-1):
    total = sum(depths)
    return _cut([last * (i + top) / (total + bottom) for i in range(total)], depths)


@exercise("Exercise 4.3")
def check_drop_rates(drop_rates):
    """Rates that rise linearly over all blocks, cut into stages of any number and depth."""
    cases = [((2, 2, 6, 2), 0.1), ((1, 1, 2, 1), 0.2), ((2, 2, 18, 2), 0.5), ((3, 1), 0.3)]
    for _ in range(3):
        depths = tuple(draw.integer(1, 5) for _ in range(draw.integer(2, 5)))
        cases.append((depths, draw.integer(1, 9) / 10))
    compare(
        drop_rates,
        _rates,
        cases,
        [
            (
                "The last block has the rate `last`: divide by the number of blocks minus 1.",
                lambda d, r: _rates(d, r, bottom=0),
            ),
            (
                "The first block is never skipped: its rate is 0.",
                lambda d, r: _rates(d, r, top=1, bottom=0),
            ),
            (
                "The rates rise over all blocks of the network; they do not start anew in each "
                "stage.",
                lambda d, r: [[r * i / max(1, n - 1) for i in range(n)] for n in d],
            ),
            (
                "Rates rise from the first block to the last, not the other way round.",
                lambda d, r: _cut([v for s in _rates(d, r) for v in s][::-1], d),
            ),
            (
                "One rate for each block, not one for each stage.",
                lambda d, r: [[r * s / (len(d) - 1)] * n for s, n in enumerate(d)],
            ),
            (
                "Return one list for each stage, not one for all.",
                lambda d, r: [v for s in _rates(d, r) for v in s],
            ),
            (
                "All blocks have the same rate; the rates must rise from 0 to `last`.",
                lambda d, r: [[r] * n for n in d],
            ),
            (
                "These are the rates of keeping a block, not of skipping it.",
                lambda d, r: [[1 - v for v in s] for s in _rates(d, r)],
            ),
        ],
        describe=lambda d, r: f"depths {d}, last rate {r}",
        form="one list of rates for each stage",
        hint="One straight line over all blocks, 0 at the first and `last` at the last, cut into "
        "stages.",
        tolerance=1e-6,
    )


def _timm(name, down=1, head=True, drop=("relative_position_index", "attn_mask")):
    if drop and name.endswith(drop):
        return "drop"
    if ".downsample." in name:
        return re.sub(r"^layers\.(\d+)", lambda m: f"layers.{int(m[1]) + down}", name)
    return "head.fc." + name[5:] if head and name.startswith("head.") else name


@exercise("Exercise 4.4", points=2)
def check_timm_name(timm_name):
    """Names of the original authors' files, in timm's words."""
    stage, block = draw.integer(0, 2), draw.integer(2, 17)
    names = [
        "patch_embed.proj.weight",
        "patch_embed.norm.bias",
        "layers.0.blocks.1.mlp.fc1.bias",
        f"layers.2.blocks.{block}.attn.qkv.weight",
        "layers.0.downsample.reduction.weight",
        "layers.2.downsample.norm.bias",
        f"layers.{stage}.downsample.norm.weight",
        "norm.weight",
        "norm.bias",
        "head.weight",
        "head.bias",
        "layers.1.blocks.0.attn.relative_position_index",
        f"layers.2.blocks.{block}.attn_mask",
        "layers.1.blocks.1.attn.relative_position_bias_table",
        "layers.3.blocks.0.attn.relative_position_bias_table",
    ]
    compare(
        timm_name,
        _timm,
        [(name,) for name in names],
        [
            (
                "The original counts merging to the end of a stage, timm to the start of the next "
                "one.",
                lambda n: _timm(n, down=0),
            ),
            (
                "The original counts merging to the end of a stage, so timm's number is one "
                "HIGHER.",
                lambda n: _timm(n, down=-1),
            ),
            ("timm's classifier lies one level deeper: head.fc.", lambda n: _timm(n, head=False)),
            (
                'Index and mask can be computed; return the word "drop" for both.',
                lambda n: _timm(n, drop=("relative_position_index",)),
            ),
            (
                'Mask and index can be computed; return the word "drop" for both.',
                lambda n: _timm(n, drop=("attn_mask",)),
            ),
            (
                'Index and mask can be computed; return the word "drop" for them.',
                lambda n: _timm(n, drop=None),
            ),
            (
                "The bias table is learned and must stay; only the index and the mask are dropped.",
                lambda n: "drop" if "relative_position" in n else _timm(n),
            ),
            (
                "Only the number of the stage changes, not that of a block.",
                lambda n: (
                    re.sub(r"\d+", lambda m: str(int(m[0]) + 1), n)
                    if n.startswith("layers") and _timm(n) != "drop"
                    else _timm(n)
                ),
            ),
            (
                "Only merging moves to the next stage; its blocks stay.",
                lambda n: (
                    re.sub(r"^layers\.(\d+)", lambda m: f"layers.{int(m[1]) + 1}", n)
                    if _timm(n) != "drop" and not n.startswith("head")
                    else _timm(n)
                ),
            ),
            ("The names came back unchanged; some differ, see the table above.", lambda n: n),
        ],
        describe=lambda n: f"timm's name of {n}",
        form="a name",
        hint="Three things differ: merging belongs to the next stage, the classifier lies at "
        'head.fc, and index and mask are "drop".',
    )
