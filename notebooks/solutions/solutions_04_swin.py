"""Solutions of notebook 04, Swin."""

import re


def map_shapes(size, width):
    """Exercise 4.1. Patches of 4, then halve three times, rounding up; the last stage does not
    merge.
    """
    grid, shapes = -(-size // 4), []
    for stage in (1, 2, 3):
        grid = -(-grid // 2)
        shapes.append((grid, grid, width * 2**stage))
    return [*shapes, shapes[-1]]


def block_parameters(dim, heads, window):
    """Exercise 4.2. Two norms, queries-keys-values, projection, two layers of the MLP, and the bias
    table.
    """
    norms = 2 * 2 * dim
    attention = dim * 3 * dim + 3 * dim + dim * dim + dim
    mlp = dim * 4 * dim + 4 * dim + 4 * dim * dim + dim
    table = (2 * window - 1) ** 2 * heads
    return norms + attention + mlp + table


def drop_rates(depths, last):
    """Exercise 4.3. One straight line over all blocks, from 0 at the first to ``last`` at the
    last.
    """
    total = sum(depths)
    flat = [last * i / (total - 1) for i in range(total)]
    return [flat[sum(depths[:s]) : sum(depths[: s + 1])] for s in range(len(depths))]


def timm_name(name):
    """Exercise 4.4. Drop what can be computed, move merging to the next stage, put the classifier a
    level deeper.
    """
    if name.endswith(("relative_position_index", "attn_mask")):
        return "drop"
    if ".downsample." in name:
        return re.sub(r"^layers\.(\d+)", lambda match: f"layers.{int(match[1]) + 1}", name)
    return name.replace("head.", "head.fc.") if name.startswith("head.") else name
