"""Checks of notebook 04: shapes of the pyramid, parameters of a block, skipping rates, old
names.
"""

from .core import ask, exercise, expect, expect_equal


@exercise("Exercise 4.1")
def check_map_shapes(map_shapes):
    """The four maps that MGFF takes, at even and odd sizes."""
    for size, width in ((384, 128), (96, 32), (224, 96), (100, 32)):
        grid, expected = -(-size // 4), []
        for stage in (1, 2, 3):
            grid = -(-grid // 2)
            expected.append((grid, grid, width * 2**stage))
        expected.append(expected[-1])
        got = ask(map_shapes, size, width)
        expect(
            isinstance(got, (list, tuple)) and len(got) == 4,
            f"expected a list of four shapes, got {got!r}.",
        )
        got = [tuple(shape) for shape in got]
        before = [(-(-size // 4), -(-size // 4), width), *expected[:3]]
        hint = ""
        if got == before:
            hint = (
                "Those are the maps before merging; MGFF taps each stage after the merging "
                "that ends it."
            )
        elif [s[2] for s in got] == [width * 2**i for i in (1, 2, 3, 4)]:
            hint = (
                "There is no merging after the last stage: maps three and four have the same shape."
            )
        elif [s[2] for s in got] == [s[2] for s in expected]:
            hint = "Channels are right. Odd grids are padded: round up when you halve."
        expect_equal(f"maps of a {size} x {size} image at width {width}", got, expected, hint)


@exercise("Exercise 4.2", points=2)
def check_block_parameters(block_parameters):
    """Parameters of one block, counted on the packaged block."""
    from ..windows import SwinBlock

    for dim, heads, window in ((32, 1, 6), (128, 4, 12), (96, 3, 7)):
        block = SwinBlock(dim, heads, (2 * window, 2 * window), (window, window), shifted=True)
        expected = sum(p.numel() for p in block.parameters())
        got = ask(block_parameters, dim, heads, window)
        table, norms, biases = (2 * window - 1) ** 2 * heads, 4 * dim, 3 * dim + dim + 4 * dim + dim
        hint = {
            expected - table: "The relative position bias table is missing: (2 w - 1)^2 rows, one "
            "column a head.",
            expected
            - norms: "The two layer norms are missing: a scale and a shift for each channel.",
            expected - biases: "The four linear layers have biases: 3C, C, 4C and C.",
            expected
            - table
            - norms
            - biases: "The weights are right; biases, norms and table are missing.",
            expected - table + (2 * window - 1) ** 2: "The table has one column for each head.",
        }.get(got, "")
        expect_equal(
            f"parameters of a block with {dim} channels, {heads} heads, window {window}",
            got,
            expected,
            hint,
        )


@exercise("Exercise 4.3")
def check_drop_rates(drop_rates):
    """Rates that rise linearly over all blocks, cut into stages."""
    for depths, last in (((2, 2, 6, 2), 0.1), ((1, 1, 2, 1), 0.2), ((2, 2, 18, 2), 0.5)):
        total = sum(depths)
        flat = [last * i / (total - 1) for i in range(total)]
        expected, start = [], 0
        for depth in depths:
            expected.append(flat[start : start + depth])
            start += depth
        got = ask(drop_rates, depths, last)
        expect(
            isinstance(got, (list, tuple))
            and len(got) == len(depths)
            and all(
                isinstance(one, (list, tuple)) and len(one) == depth
                for one, depth in zip(got, depths)
            ),
            f"expected one list for each stage, of lengths {list(depths)}, got {got!r}.",
        )
        values = [float(v) for stage in got for v in stage]
        hint = ""
        if abs(values[0] - last / total) < 1e-6:
            hint = (
                "The first block is never skipped: divide by the number of blocks minus 1, and "
                "start at 0."
            )
        elif abs(values[depths[0]]) < 1e-6:
            hint = (
                "The rates rise over all blocks of the network; they do not start anew in "
                "each stage."
            )
        elif values[0] > values[-1]:
            hint = "Rates rise from the first block to the last, not the other way round."
        worst = max(abs(a - b) for a, b in zip(values, flat))
        expect(
            worst < 1e-6,
            f"depths {depths}, last rate {last}: expected {[round(v, 3) for v in flat]}, "
            f"got {[round(v, 3) for v in values]}. {hint}".rstrip(),
        )


@exercise("Exercise 4.4", points=2)
def check_timm_name(timm_name):
    """Names of the original authors' files, in timm's words; None for what is dropped."""
    cases = {
        "patch_embed.proj.weight": "patch_embed.proj.weight",
        "layers.0.blocks.1.mlp.fc1.bias": "layers.0.blocks.1.mlp.fc1.bias",
        "layers.0.downsample.reduction.weight": "layers.1.downsample.reduction.weight",
        "layers.2.downsample.norm.bias": "layers.3.downsample.norm.bias",
        "norm.weight": "norm.weight",
        "head.weight": "head.fc.weight",
        "head.bias": "head.fc.bias",
        "layers.1.blocks.0.attn.relative_position_index": "drop",
        "layers.1.blocks.1.attn_mask": "drop",
        "blocks.1.attn.relative_position_bias_table": "blocks.1.attn.relative_position_bias_table",
    }
    for name, expected in cases.items():
        got = ask(timm_name, name)
        hint = ""
        if "downsample" in name and got == name:
            hint = (
                "The original counts merging to the end of a stage, timm to the start of "
                "the next one."
            )
        elif name.startswith("head") and got == name:
            hint = "timm's classifier lies one level deeper: head.fc."
        elif expected == "drop":
            hint = 'Index and mask can be computed; return the word "drop" for them.'
        elif got == "drop":
            hint = (
                "The bias table is learned and must stay; only the index and the mask are dropped."
            )
        expect_equal(f"timm's name of {name}", got, expected, hint)
