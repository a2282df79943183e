"""Checks of notebooks 06 and 07: attention written out, positions, heads; squeeze and
excitation.
"""

import torch
import torch.nn.functional as F

from ..attention import ChannelAttention
from ..windows import relative_position_index
from .core import ask, exercise, expect, expect_close, expect_shape


def _first_that_fits(got, candidates):
    """The text of the first plausible mistake whose result equals ``got``."""
    for wrong, text in candidates:
        if (
            isinstance(got, torch.Tensor)
            and got.shape == wrong.shape
            and torch.allclose(got, wrong, atol=1e-5)
        ):
            return text
    return ""


@exercise("Exercise 6.1")
def check_attention_weights(attention_weights):
    """Rows of A' with and without E_pos, on numbers where every omission shows."""
    generator = torch.Generator().manual_seed(0)
    q, k = torch.randn(2, 5, 8, generator=generator), torch.randn(2, 5, 8, generator=generator)
    bias = torch.randn(5, 5, generator=generator)
    scores = q @ k.mT / 8**0.5
    right = (scores + bias).softmax(-1)
    got = ask(attention_weights, q, k, bias)
    hint = _first_that_fits(
        got,
        [
            ((q @ k.mT + bias).softmax(-1), "The scores are not divided by sqrt(d)."),
            ((q @ k.mT / 8 + bias).softmax(-1), "You divide by d; it must be sqrt(d)."),
            (
                ((q @ k.mT + bias) / 8**0.5).softmax(-1),
                "Only Q K^T is divided by sqrt(d), E_pos is not.",
            ),
            (scores.softmax(-1), "E_pos is missing."),
            (
                scores.softmax(-1) + bias,
                "E_pos belongs inside the softmax; added afterwards, rows no longer sum to 1.",
            ),
            (
                (scores + bias).softmax(-2),
                "The softmax runs over the queries (columns); rows must sum to 1.",
            ),
            (
                (scores.mT + bias).softmax(-1),
                "Q and K are exchanged: row i holds the scores of QUERY i.",
            ),
            (scores + bias, "These are scores; the softmax is missing."),
        ],
    )
    expect_close("A' for 5 positions", got, right, 1e-5, hint)


@exercise("Exercise 6.2", points=2)
def check_position_bias(position_bias):
    """A table whose entries name themselves, on a grid that is not square."""
    for grid in ((2, 2), (2, 3), (3, 2)):
        rows = (2 * grid[0] - 1) * (2 * grid[1] - 1)
        table = torch.arange(rows, dtype=torch.float32)
        right = table[relative_position_index(grid)]
        got = ask(position_bias, table, grid)
        n = grid[0] * grid[1]
        expect_shape(
            f"bias of a {grid[0]} x {grid[1]} grid",
            got,
            (n, n),
            "One number for each pair (query, key).",
        )
        hint = _first_that_fits(
            got,
            [
                (
                    right.T,
                    "The sign of the offset is turned: take the query's place MINUS the key's.",
                ),
                (table.new_zeros(n, n), "The table is not read."),
            ],
        )
        if not hint and grid[0] != grid[1]:
            hint = (
                "A row of the table has 2 w - 1 entries: index = (dy + h - 1) * (2 w - 1) + "
                "dx + w - 1."
            )
        elif not hint:
            hint = "Check the offsets: each runs from -(size - 1) to size - 1, so add size - 1."
        expect_close(f"bias of a {grid[0]} x {grid[1]} grid", got, right, 1e-6, hint)


@exercise("Exercise 6.3", points=2)
def check_many_heads(many_heads):
    """Several heads against torch's own attention; the ways of splitting channels wrongly."""
    generator = torch.Generator().manual_seed(1)
    q, k, v = (torch.randn(2, 6, 8, generator=generator) for _ in range(3))
    for heads in (1, 2, 4):

        def split(t):
            return t.unflatten(2, (heads, -1)).transpose(1, 2)

        right = (
            F.scaled_dot_product_attention(split(q), split(k), split(v)).transpose(1, 2).flatten(2)
        )
        got = ask(many_heads, q, k, v, heads)
        d = 8 // heads
        scores = split(q) @ split(k).mT
        hint = ""
        if heads > 1:
            hint = _first_that_fits(
                got,
                [
                    (
                        F.scaled_dot_product_attention(q, k, v),
                        "That is one head: the channels are not split.",
                    ),
                    (
                        (scores / 8**0.5).softmax(-1).matmul(split(v)).transpose(1, 2).flatten(2),
                        f"d is the width of one head, here {d}, not of all.",
                    ),
                    (
                        F.scaled_dot_product_attention(split(q), split(k), split(v))
                        .flatten(1)
                        .reshape(2, 6, 8),
                        "Bring the heads back next to their channels before you join them: "
                        "transpose, then flatten.",
                    ),
                    (
                        F.scaled_dot_product_attention(
                            *(t.reshape(2, heads, 6, d) for t in (q, k, v))
                        )
                        .transpose(1, 2)
                        .flatten(2),
                        "reshape(B, heads, N, d) mixes positions; split the channels first, then "
                        "transpose.",
                    ),
                ],
            )
        expect_close(f"{heads} head{'s' if heads > 1 else ''}", got, right, 1e-5, hint)


@exercise("Exercise 7.1", answer="channel_weights_of")
def check_channel_weights(channel_weights):
    """s for two maps, and the mistakes that still give numbers between 0 and 1."""
    generator = torch.Generator().manual_seed(2)
    x = torch.randn(2, 6, 3, 4, generator=generator) + torch.randn(2, 6, 1, 1, generator=generator)
    w1, w2 = torch.randn(3, 6, generator=generator), torch.randn(6, 3, generator=generator)
    mean = x.mean((2, 3))
    right = torch.sigmoid(F.relu(mean @ w1.T) @ w2.T)
    got = ask(channel_weights, x, w1, w2)
    hint = _first_that_fits(
        got,
        [
            (
                torch.softmax(F.relu(mean @ w1.T) @ w2.T, 1),
                "Softmax lets channels compete; SE uses a sigmoid for each.",
            ),
            (torch.sigmoid(mean @ w1.T @ w2.T), "The relu between W1 and W2 is missing."),
            (
                torch.sigmoid(F.relu(F.relu(mean @ w1.T) @ w2.T)),
                "The relu stands between W1 and W2 only.",
            ),
            (
                torch.sigmoid(F.relu(x.amax((2, 3)) @ w1.T) @ w2.T),
                "Squeeze with the mean over positions, not the maximum.",
            ),
            (
                torch.sigmoid(F.relu(x.sum((2, 3)) @ w1.T) @ w2.T),
                "Squeeze with the mean over positions, not the sum.",
            ),
            (F.relu(mean @ w1.T) @ w2.T, "The sigmoid is missing."),
        ],
    )
    if isinstance(got, torch.Tensor) and got.shape == x.shape:
        hint = "Return the weights s, one for each channel; not the scaled map."
    expect_close("channel weights of 2 maps with 6 channels", got, right, 1e-5, hint)


@exercise("Exercise 7.2")
def check_se_parameters(se_parameters):
    """Counts for the widths of the course and of Swin-B."""
    for c, r in ((1024, 16), (256, 16), (64, 4)):
        got, right = (
            ask(se_parameters, c, r),
            sum(p.numel() for p in ChannelAttention(c, r).parameters()),
        )
        hints = {
            c * c // r: "Two matrices: one down to C / r, one back up.",
            2 * c * c: "The squeezed width is C / r.",
            right + c + c // r: "The paper's equation has no biases.",
        }
        expect(
            got == right,
            f"C = {c}, r = {r}: expected {right} weights, got {got}. {hints.get(got, '')}".rstrip(),
        )


@exercise("Exercise 7.3")
def check_scale_map(scale_map):
    """x * s on a map whose height equals its channels, where broadcasting along the wrong side goes
    unnoticed.
    """
    generator = torch.Generator().manual_seed(3)
    x, s = torch.randn(2, 4, 4, 4, generator=generator), torch.rand(2, 4, generator=generator)
    right = x * s[:, :, None, None]
    got = ask(scale_map, x, s)
    hint = _first_that_fits(
        got,
        [
            (
                x * s[:, None, None, :],
                "s was spread along the columns; give it the shape (B, C, 1, 1).",
            ),
            (
                x * s[:, None, :, None],
                "s was spread along the rows; give it the shape (B, C, 1, 1).",
            ),
            (x * s[0][None, :, None, None], "Every image has its own s."),
            (x + right, "No residual here: the map is scaled."),
        ],
    )
    expect_close("scaled map", got, right, 1e-6, hint)
