"""Checks of notebooks 02 and 03: windows, bias rows, costs, masks, and how far a message
travels.
"""

import torch

from .core import ask, exercise, expect, expect_close, expect_equal, expect_shape

# ---- notebook 02 ----


@exercise("Exercise 2.1")
def check_pairs(pairs):
    """(query, key) pairs with and without windows, at the sizes of the course."""
    for height, width, window, expected in (
        (4, 4, 2, 4 * 16),
        (24, 24, 6, 576 * 36),
        (96, 96, 12, 9216 * 144),
        (12, 8, 4, 96 * 16),
    ):
        got = ask(pairs, height, width, window)
        tokens = height * width
        hint = {
            tokens**2: "That is attention over the whole map; a query only meets the keys of its "
            "own window.",
            window**4: "That is one window; multiply by the number of windows.",
            tokens * window: "A window of side w has w * w keys.",
        }.get(got, "")
        expect_equal(f"pairs on a {height} x {width} map with window {window}", got, expected, hint)


@exercise("Exercise 2.2")
def check_bias_row(bias_row):
    """All pairs of a square and of an oblong window, against displacement arithmetic."""
    for wh, ww in ((2, 2), (3, 3), (2, 4)):
        for query in range(wh * ww):
            for key in range(wh * ww):
                dy, dx = query // ww - key // ww, query % ww - key % ww
                expected = (dy + wh - 1) * (2 * ww - 1) + dx + ww - 1
                got = ask(bias_row, query, key, (wh, ww))
                mirrored = (-dy + wh - 1) * (2 * ww - 1) - dx + ww - 1
                hint = ""
                if got == mirrored:
                    hint = "You took key minus query; the table is indexed by query minus key."
                elif got == (dy + wh - 1) * (2 * wh - 1) + dx + ww - 1:
                    hint = (
                        "One row of the table's grid has 2 * Ww - 1 entries: the width counts, "
                        "not the height."
                    )
                elif isinstance(got, int) and got < 0:
                    hint = (
                        "Displacements can be negative: shift them by Wh - 1 and Ww - 1 to "
                        "start at 0."
                    )
                elif got == (dy + wh - 1) * ww + dx + ww - 1:
                    hint = "There are 2 * Ww - 1 displacements along the width, not Ww."
                expect_equal(f"window {wh} x {ww}, query {query}, key {key}", got, expected, hint)


@exercise("Exercise 2.3", points=2)
def check_find_token(find_token):
    """Where every token of an oblong map goes in the partition."""
    height, width, (wh, ww) = 6, 8, (3, 4)
    places = (
        torch.arange(height * width)
        .view(height // wh, wh, width // ww, ww)
        .transpose(1, 2)
        .reshape(-1, wh * ww)
    )
    for row in range(height):
        for column in range(width):
            window, position = (places == row * width + column).nonzero()[0].tolist()
            got = tuple(ask(find_token, row, column, width, (wh, ww)))
            hint = ""
            if got[0] != window:
                hint = "Windows are counted row by row; there are width // Ww of them in a row."
            elif got[1] != position:
                hint = "Inside the window, count row by row as well: (row % Wh) * Ww + column % Ww."
            expect_equal(
                f"token in row {row}, column {column} of a 6 x 8 map with windows 3 x 4 "
                "(window, position)",
                got,
                (window, position),
                hint,
            )


# ---- notebook 03 ----


def _cells(height, width, window, shift):
    rows = (torch.arange(height) - shift[0]).div(window[0], rounding_mode="floor")
    columns = (torch.arange(width) - shift[1]).div(window[1], rounding_mode="floor")
    return rows, columns


@exercise("Exercise 3.1")
def check_windows_that_need_a_mask(windows_that_need_a_mask):
    """How many windows of a shifted map hold more than one region."""
    for height, width, window, shift, expected in (
        (24, 24, 6, 3, 7),
        (4, 4, 2, 1, 3),
        (48, 48, 12, 6, 7),
        (24, 12, 12, 6, 2),
        (8, 24, 4, 2, 7),
        (12, 12, 6, 0, 0),
    ):
        got = ask(windows_that_need_a_mask, height, width, window, shift)
        rows, columns = height // window, width // window
        hint = {
            rows * columns: "Most windows are whole: only the last row and the last column "
            "were wrapped.",
            rows
            + columns: "You counted the corner window twice; it lies in the last row and in the "
            "last column.",
        }.get(got, "")
        if shift == 0:
            hint = "Without a shift, nothing was wrapped around."
        expect_equal(f"map {height} x {width}, window {window}, shift {shift}", got, expected, hint)


@exercise("Exercise 3.2")
def check_may_attend(may_attend):
    """The rule for two places of the map, given in their original coordinates."""
    height, width, window, shift = 8, 8, 4, 2
    rows, columns = _cells(height, width, (window, window), (shift, shift))
    for first in ((0, 0), (1, 5), (2, 2), (7, 7), (3, 4)):
        for r in range(height):
            for c in range(width):
                expected = bool(rows[first[0]] == rows[r] and columns[first[1]] == columns[c])
                got = bool(ask(may_attend, first, (r, c), window, shift))
                hint = ""
                if (
                    not expected
                    and first[0] // window == r // window
                    and first[1] // window == c // window
                ):
                    hint = (
                        "That is the rule without a shift: the borders now lie at shift, shift "
                        "+ window, ..."
                    )
                elif not expected and (
                    (first[0] - shift) % height // window == (r - shift) % height // window
                    and (first[1] - shift) % width // window == (c - shift) % width // window
                ):
                    hint = (
                        "After the roll both lie in one window, but one of them was wrapped "
                        "around: no neighbours."
                    )
                elif expected:
                    hint = "They lie between the same borders along both sides, so they may."
                expect_equal(
                    f"8 x 8 map, window 4, shift 2: may {first} look at {(r, c)}",
                    got,
                    expected,
                    hint,
                )


@exercise("Exercise 3.3", points=2)
def check_mask_from_coordinates(mask_from_coordinates):
    """A mask built from the original coordinates, against region numbers, on square and oblong
    maps.
    """
    for height, width, window, shift in (
        (4, 4, (2, 2), (1, 1)),
        (8, 12, (4, 4), (2, 2)),
        (6, 8, (3, 4), (1, 2)),
    ):
        rows, columns = _cells(height, width, window, shift)
        numbers = rows[:, None] * 100 + columns[None, :]
        rolled = numbers.roll((-shift[0], -shift[1]), (0, 1))
        (wh, ww) = window
        cut = rolled.view(height // wh, wh, width // ww, ww).transpose(1, 2).reshape(-1, wh * ww)
        expected = cut[:, :, None] == cut[:, None, :]
        got = ask(mask_from_coordinates, height, width, window, shift)
        expect_shape(
            f"mask of a {height} x {width} map",
            got,
            expected.shape,
            "One N x N matrix for each window.",
        )
        expect(
            got.dtype == torch.bool,
            f"expected booleans, True where looking is allowed, got {got.dtype}.",
        )
        unrolled = (
            numbers.view(height // wh, wh, width // ww, ww).transpose(1, 2).reshape(-1, wh * ww)
        )
        hint = ""
        if torch.equal(got, ~expected):
            hint = "Yours is the opposite: True must mean that looking is allowed."
        elif torch.equal(got, unrolled[:, :, None] == unrolled[:, None, :]):
            hint = "Roll the numbers before you cut them into windows, as the map itself is rolled."
        elif bool(got.all()):
            hint = "Nothing is masked. The numbers must come from the places before the roll."
        expect_close(
            f"mask of a {height} x {width} map, window {window}, shift {shift}",
            got.float(),
            expected.float(),
            0,
            hint,
        )


@exercise("Exercise 3.4", points=4)
def check_blocks_to_reach(blocks_to_reach):
    """Blocks until a message arrives, plain and shifted blocks in turn, by spreading it step by
    step.
    """
    for side, window, start, goal in (
        (8, 4, (0, 0), (3, 3)),
        (8, 4, (0, 0), (4, 0)),
        (8, 4, (3, 3), (4, 4)),
        (8, 4, (0, 0), (7, 7)),
        (24, 6, (0, 0), (23, 23)),
        (24, 6, (11, 2), (12, 2)),
    ):
        reached = torch.zeros(side, side, dtype=torch.bool)
        reached[start] = True
        expected = 0
        while not reached[goal]:
            shift = window // 2 if expected % 2 else 0
            rows, columns = _cells(side, side, (window, window), (shift, shift))
            numbers = rows[:, None] * 100 + columns[None, :]
            reached = torch.isin(numbers, numbers[reached])
            expected += 1
        got = ask(blocks_to_reach, side, window, start, goal)
        hint = ""
        if start != (3, 3) and got == 1 and expected == 2:
            hint = "The first block has plain windows; these two lie in different ones."
        elif got == expected - 1:
            hint = "Count the block in which the message arrives as well."
        elif got == expected + 1:
            hint = "You count one block too many; the first block is number 1 and not shifted."
        expect_equal(
            f"{side} x {side} map, window {window}, from {start} to {goal}", got, expected, hint
        )
