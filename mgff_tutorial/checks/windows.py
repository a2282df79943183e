"""Checks of notebooks 02 and 03: windows, bias rows, costs, masks, and how far a message
travels.
"""

from operator import neg, pos

import torch

from .cases import compare, draw
from .core import exercise

# ---- notebook 02 ----


@exercise("Exercise 2.1")
def check_pairs(pairs):
    """(query, key) pairs with windows, on square and oblong maps."""
    cases = [(4, 4, 2), (24, 24, 6), (96, 96, 12), (12, 8, 4)]
    for _ in range(4):
        window, (rows, columns) = draw.integer(2, 9), draw.integers(2, 2, 9)
        cases.append((rows * window, columns * window, window))
    compare(
        pairs,
        lambda h, w, m: h * w * m * m,
        cases,
        [
            (
                "That is attention over the whole map; a query only meets the keys of its own "
                "window.",
                lambda h, w, m: (h * w) ** 2,
            ),
            ("That is one window; multiply by the number of windows.", lambda h, w, m: m**4),
            ("A window of side w has w * w keys.", lambda h, w, m: h * w * m),
            (
                "That is the number of tokens; each of them meets every key of its window.",
                lambda h, w, m: h * w,
            ),
            ("That is the number of windows.", lambda h, w, m: h // m * (w // m)),
            (
                "The number of windows is (height // window) * (width // window).",
                lambda h, w, m: (h // m + w // m) * m**4,
            ),
            (
                "You count each pair once; query and key are different roles, so (i, j) and (j, i) "
                "are two pairs.",
                lambda h, w, m: h // m * (w // m) * m * m * (m * m + 1) // 2,
            ),
            ("A token meets itself as well.", lambda h, w, m: h * w * (m * m - 1)),
            ("The map is not square: it has height * width tokens.", lambda h, w, m: h * h * m * m),
            (
                "The map is not square: it has height times width tokens.",
                lambda h, w, m: w * w * m * m,
            ),
        ],
        describe=lambda h, w, m: f"pairs on a {h} x {w} map with window {m}",
        form="an integer",
        hint="Every token is a query; count the keys that it meets.",
        integers=True,
    )


def _place(token, wh, ww):
    """Row and column."""
    return divmod(token, ww)


def _bias_row(
    query, key, window, turn=pos, stride=lambda wh, ww: 2 * ww - 1, offset=1, place=_place
):
    wh, ww = window
    dy, dx = (turn(q - k) for q, k in zip(place(query, wh, ww), place(key, wh, ww)))
    return (dy + (wh - 1) * offset) * stride(wh, ww) + dx + (ww - 1) * offset


def _transposed_table(query, key, window):
    wh, ww = window
    dy, dx = query // ww - key // ww, query % ww - key % ww
    return (dx + ww - 1) * (2 * wh - 1) + dy + wh - 1


@exercise("Exercise 2.2")
def check_bias_row(bias_row):
    """Pairs of square, oblong, one-row and one-column windows."""
    windows = [(2, 2), (3, 3), (2, 4), (4, 2), (1, 5), (5, 1), tuple(draw.integers(2, 2, 6))]
    cases = []
    for wh, ww in windows:
        last = wh * ww - 1
        pairs = [(0, last), (last, 0), (0, 0), (1, 0), (0, 1)]
        pairs += [(draw.integer(0, last), draw.integer(0, last)) for _ in range(12)]
        cases += [(q, k, (wh, ww)) for q, k in pairs]
    compare(
        bias_row,
        _bias_row,
        cases,
        [
            (
                "You took key minus query; the table is indexed by query minus key.",
                lambda q, k, w: _bias_row(q, k, w, turn=neg),
            ),
            (
                "One row of the table's grid has 2 * Ww - 1 entries: the width counts, not the "
                "height.",
                lambda q, k, w: _bias_row(q, k, w, stride=lambda wh, ww: 2 * wh - 1),
            ),
            (
                "There are 2 * Ww - 1 displacements along the width, not Ww.",
                lambda q, k, w: _bias_row(q, k, w, stride=lambda wh, ww: ww),
            ),
            (
                "There are 2 * Ww - 1 displacements along the width, not 2 * Ww.",
                lambda q, k, w: _bias_row(q, k, w, stride=lambda wh, ww: 2 * ww),
            ),
            (
                "Displacements can be negative: shift them by Wh - 1 and Ww - 1 to start at 0.",
                lambda q, k, w: _bias_row(q, k, w, offset=0),
            ),
            (
                "Tokens are numbered row by row; you number them column by column.",
                lambda q, k, w: _bias_row(q, k, w, place=lambda t, wh, ww: (t % wh, t // wh)),
            ),
            (
                "A displacement keeps its sign: left and right have entries of their own.",
                lambda q, k, w: _bias_row(q, k, w, turn=abs),
            ),
            (
                "The table is laid row by row: the vertical displacement counts whole rows.",
                _transposed_table,
            ),
            (
                "Rows and columns of a token are token // Ww and token % Ww.",
                lambda q, k, w: _bias_row(q, k, w, place=lambda t, wh, ww: (t // wh, t % ww)),
            ),
        ],
        describe=lambda q, k, w: f"window {w[0]} x {w[1]}, query {q}, key {k}",
        form="an integer",
        hint="Displacement of the query from the key along both sides, shifted to start at 0, "
        "then counted row by row.",
        integers=True,
    )


def _find_token(row, column, width, window):
    wh, ww = window
    return (row // wh) * (width // ww) + column // ww, (row % wh) * ww + column % ww


@exercise("Exercise 2.3", points=2)
def check_find_token(find_token):
    """Every token of an oblong map, and tokens of random maps and windows."""
    cases = [(row, column, 8, (3, 4)) for row in range(6) for column in range(8)]
    for _ in range(8):
        wh, ww, rows, columns = (draw.integer(1, 5) for _ in range(4))
        width = ww * columns
        for _ in range(4):
            row, column = draw.integer(0, rows * wh - 1), draw.integer(0, width - 1)
            cases.append((row, column, width, (wh, ww)))

    compare(
        find_token,
        _find_token,
        cases,
        [
            (
                "The number of the window comes first, then the place inside it.",
                lambda *a: _find_token(*a)[::-1],
            ),
            (
                "There are width // Ww windows in a row; width is in tokens.",
                lambda r, c, w, m: (r // m[0] * w + c // m[1], _find_token(r, c, w, m)[1]),
            ),
            (
                "A row of windows has width // Ww of them, not Ww.",
                lambda r, c, w, m: (r // m[0] * m[1] + c // m[1], _find_token(r, c, w, m)[1]),
            ),
            (
                "There are width // Ww windows in a row: the window's width counts.",
                lambda r, c, w, m: (
                    r // m[0] * (w // m[0]) + c // m[1],
                    _find_token(r, c, w, m)[1],
                ),
            ),
            (
                "Inside the window, count row by row: (row % Wh) * Ww + column % Ww.",
                lambda r, c, w, m: (_find_token(r, c, w, m)[0], c % m[1] * m[0] + r % m[0]),
            ),
            (
                "A row of the window has Ww places.",
                lambda r, c, w, m: (_find_token(r, c, w, m)[0], r % m[0] * m[0] + c % m[1]),
            ),
            (
                "The place is counted inside the window: take row % Wh and column % Ww.",
                lambda r, c, w, m: (_find_token(r, c, w, m)[0], r * m[1] + c),
            ),
            ("That is the token's number on the map.", lambda r, c, w, m: r * w + c),
            (
                "window is (Wh, Ww): its height belongs to the row.",
                lambda r, c, w, m: _find_token(r, c, w, m[::-1]),
            ),
            (
                "The place inside is one number, counted row by row.",
                lambda r, c, w, m: (_find_token(r, c, w, m)[0], r % m[0], c % m[1]),
            ),
        ],
        describe=lambda r, c, w, m: (
            f"token in row {r}, column {c} of a map {w} wide with windows {m[0]} x {m[1]}"
        ),
        form="two integers (window, position)",
        hint="Windows are counted row by row, width // Ww of them in each row; the position "
        "counts the places inside the window row by row.",
        integers=True,
    )


# ---- notebook 03 ----


def _cells(height, width, window, shift):
    rows = (torch.arange(height) - shift[0]).div(window[0], rounding_mode="floor")
    columns = (torch.arange(width) - shift[1]).div(window[1], rounding_mode="floor")
    return rows, columns


def _mixed_windows(height, width, window, shift):
    """Windows of the rolled map that hold more than one moved window, counted."""
    mask = _mask(height, width, (window, window), (shift, shift))
    return int((~mask).flatten(1).any(1).sum())


@exercise("Exercise 3.1")
def check_windows_that_need_a_mask(windows_that_need_a_mask):
    """How many windows of a shifted map hold more than one region, counted on the map."""
    cases = [(24, 24, 6, 3), (4, 4, 2, 1), (48, 48, 12, 6), (24, 12, 12, 6), (8, 24, 4, 2)]
    cases += [(12, 12, 6, 0), (8, 24, 4, 0), (6, 6, 6, 3), (20, 5, 5, 1)]
    for _ in range(4):
        window, (rows, columns) = draw.integer(2, 5), draw.integers(2, 1, 6)
        cases.append((rows * window, columns * window, window, draw.integer(1, window - 1)))

    def border(height, width, window, shift):
        rows, columns = height // window, width // window
        return rows * columns - max(rows - 2, 0) * max(columns - 2, 0)

    compare(
        windows_that_need_a_mask,
        _mixed_windows,
        cases,
        [
            (
                "Most windows are whole: only the last row and the last column were wrapped.",
                lambda h, w, m, s: h // m * (w // m) if s else 0,
            ),
            (
                "Most windows are whole, and without a shift all of them are.",
                lambda h, w, m, s: h // m * (w // m),
            ),
            (
                "You counted the corner window twice; it lies in the last row and in the last "
                "column.",
                lambda h, w, m, s: h // m + w // m if s else 0,
            ),
            (
                "You counted the corner window twice, and without a shift none needs a mask.",
                lambda h, w, m, s: h // m + w // m,
            ),
            (
                "Without a shift, nothing was wrapped around.",
                lambda h, w, m, s: h // m + w // m - 1,
            ),
            (
                "The corner window needs a mask as well.",
                lambda h, w, m, s: h // m + w // m - 2 if s else 0,
            ),
            (
                "Only the last row was counted; the last column was wrapped as well.",
                lambda h, w, m, s: w // m if s else 0,
            ),
            (
                "Only the last column was counted; the last row was wrapped as well.",
                lambda h, w, m, s: h // m if s else 0,
            ),
            (
                "Only windows of the LAST row and column were wrapped; those of the first are "
                "whole.",
                lambda h, w, m, s: border(h, w, m, s) if s else 0,
            ),
            (
                "The map is not square: its last row has width // window windows, its last column "
                "height // window.",
                lambda h, w, m, s: 2 * (h // m) - 1 if s else 0,
            ),
        ],
        describe=lambda h, w, m, s: f"map {h} x {w}, window {m}, shift {s}",
        form="an integer",
        hint="Draw the rolled map: which windows hold tokens that were wrapped around?",
        integers=True,
    )


def _may_attend(first, second, window, shift):
    return all((a - shift) // window == (b - shift) // window for a, b in zip(first, second))


@exercise("Exercise 3.2")
def check_may_attend(may_attend):
    """Pairs of places, near and far, for even and odd windows and every kind of shift."""
    cases = []
    for window, shift in ((4, 2), (4, 1), (4, 3), (5, 2), (6, 3), (3, 1), (7, 3), (2, 1), (4, 0)):
        side = 3 * window
        border = shift if shift else window
        cases += [((0, 0), (border, 0), window, shift), ((0, border - 1), (0, 0), window, shift)]
        for first in ((0, 0), (border - 1, border), (side - 1, side - 1)):
            near = [tuple(min(max(v + draw.integer(-2, 2), 0), side - 1) for v in first)]
            far = [(draw.integer(0, side - 1), draw.integer(0, side - 1)) for _ in range(2)]
            line = [(first[0], draw.integer(0, side - 1)), (draw.integer(0, side - 1), first[1])]
            for second in near + far + line + [first]:
                pair = draw.shuffled([first, second])
                cases.append((*pair, window, shift))

    def rule(cell):
        return lambda a, b, w, s: all(cell(x, w, s) == cell(y, w, s) for x, y in zip(a, b))

    compare(
        may_attend,
        _may_attend,
        cases,
        [
            (
                "That is the rule without a shift: the borders now lie at shift, shift + window, "
                "...",
                rule(lambda x, w, s: x // w),
            ),
            (
                "You shift the wrong way: the borders lie at shift, shift + window, ..., so "
                "subtract the shift.",
                rule(lambda x, w, s: (x + s) // w),
            ),
            (
                "After the roll both may lie in one window, but one of them was wrapped around: "
                "they are no neighbours.",
                rule(lambda x, w, s: (x - s) % (3 * w) // w),
            ),
            (
                "Round down below 0 as well: places before the first border are a window of their "
                "own.",
                rule(lambda x, w, s: int((x - s) / w)),
            ),
            (
                "Rows are right, but columns are not compared.",
                lambda a, b, w, s: (a[0] - s) // w == (b[0] - s) // w,
            ),
            (
                "Columns are right, but rows are not compared.",
                lambda a, b, w, s: (a[1] - s) // w == (b[1] - s) // w,
            ),
            (
                "BOTH the rows and the columns must lie between the same borders.",
                lambda a, b, w, s: any(((x - s) // w == (y - s) // w for x, y in zip(a, b))),
            ),
            (
                "Being nearer than a window is not enough: a border may lie between them.",
                lambda a, b, w, s: all((abs(x - y) < w for x, y in zip(a, b))),
            ),
            ("A token may look at others, not only at itself.", lambda a, b, w, s: a == b),
            (
                "Yours is the opposite: True must mean that they may.",
                lambda *a: not _may_attend(*a),
            ),
            (
                "Only the first place is shifted; shift both.",
                lambda a, b, w, s: all(((x - s) // w == y // w for x, y in zip(a, b))),
            ),
        ],
        describe=lambda a, b, w, s: f"window {w}, shift {s}: may {a} look at {b}",
        form="True or False",
        hint="The borders lie at shift, shift + window, ... along both sides; two places may look "
        "at each other if no border lies between them.",
        say=lambda expected, got: f"expected {bool(expected)}, got {_truth(got)}",
    )


def _truth(got):
    if getattr(got, "size", 0) != 1:
        return f"a result of shape {getattr(got, 'shape', None)}"
    return bool(got) if float(got.item()) in (0, 1) else got.item()


def _number(rows, columns):
    return rows[:, None] * 1000 + columns


def _mask(height, width, window, shift, roll=-1, sign=-1, number=_number):
    rows, columns = _cells(height, width, window, (-sign * shift[0], -sign * shift[1]))
    numbers = number(rows, columns).roll((roll * shift[0], roll * shift[1]), (0, 1))
    wh, ww = window
    cut = numbers.view(height // wh, wh, width // ww, ww).transpose(1, 2).reshape(-1, wh * ww)
    return cut[:, :, None] == cut[:, None, :]


def _columns_first(height, width, window, shift):
    """The mask with windows counted column by column."""
    mask = _mask(height, width, window, shift)
    rows, columns = height // window[0], width // window[1]
    return mask.unflatten(0, (rows, columns)).transpose(0, 1).flatten(0, 1)


@exercise("Exercise 3.3", points=2)
def check_mask_from_coordinates(mask_from_coordinates):
    """Square and oblong maps and windows, shifts that are not half a window, one side unshifted."""
    cases = [
        (4, 4, (2, 2), (1, 1)),
        (8, 12, (4, 4), (2, 2)),
        (6, 8, (3, 4), (1, 2)),
        (12, 6, (4, 3), (3, 1)),
        (5, 12, (5, 4), (0, 1)),
        (9, 4, (3, 4), (2, 0)),
        (2, 2, (2, 2), (1, 1)),
        (2, 6, (2, 2), (1, 1)),
        (16, 7, (2, 7), (1, 3)),
    ]
    for _ in range(3):
        wh, ww = draw.integers(2, 2, 5)
        size = (wh * draw.integer(1, 3), ww * draw.integer(2, 4))
        cases.append((*size, (wh, ww), (draw.integer(1, wh - 1), draw.integer(1, ww - 1))))
    compare(
        mask_from_coordinates,
        _mask,
        cases,
        [
            (
                "Yours is the opposite: True must mean that looking is allowed.",
                lambda *a: ~_mask(*a),
            ),
            (
                "Roll the numbers before you cut them into windows, as the map itself is rolled.",
                lambda *a: _mask(*a, roll=0),
            ),
            (
                "The numbers are rolled the wrong way: the map is rolled by MINUS the shift, up "
                "and to the left.",
                lambda *a: _mask(*a, roll=1),
            ),
            (
                "The moved windows begin at the shift: number the places by (row - shift) // "
                "window.",
                lambda *a: _mask(*a, sign=1),
            ),
            (
                "Borders of the unmoved windows were numbered: number the places by (row - shift) "
                "// window.",
                lambda *a: _mask(*a, sign=0),
            ),
            (
                "Nothing is masked. The numbers must come from the places before the roll.",
                lambda *a: torch.ones_like(_mask(*a)),
            ),
            (
                "Two different windows share a number, or columns are not numbered.",
                lambda *a: _mask(*a, number=lambda r, c: r[:, None] + 0 * c[None, :]),
            ),
            (
                "Rows are not numbered.",
                lambda *a: _mask(*a, number=lambda r, c: 0 * r[:, None] + c[None, :]),
            ),
            (
                "Two different windows have one number: row and column may not simply be added.",
                lambda *a: _mask(*a, number=lambda r, c: r[:, None] + c[None, :]),
            ),
            ("Windows are counted row by row; yours come column by column.", _columns_first),
            (
                "Compare the numbers; each token is allowed to look at its whole region, not only "
                "at itself.",
                lambda *a: torch.eye(_mask(*a).shape[1]).bool().expand_as(_mask(*a)),
            ),
        ],
        describe=lambda h, w, m, s: f"mask of a {h} x {w} map, window {m}, shift {s}",
        form="booleans (windows, N, N)",
        hint="Number the moved windows on the original map, roll the numbers by minus the shift, "
        "cut them into windows, compare every pair.",
        booleans=True,
    )


def _blocks(side, window, start, goal, first=0, wrap=False):
    """Blocks until the message arrives, by spreading it over whole windows; 99 if it never does."""
    reached = torch.zeros(side, side, dtype=torch.bool)
    reached[tuple(start)] = True
    for blocks in range(99):
        if reached[tuple(goal)]:
            return blocks
        shift = window // 2 if (blocks + first) % 2 else 0
        rows, columns = _cells(side, side, (window, window), (shift, shift))
        if wrap:
            rows, columns = rows % (side // window), columns % (side // window)
        numbers = _number(rows, columns)
        reached = torch.isin(numbers, numbers[reached])
    return 99


@exercise("Exercise 3.4", points=4)
def check_blocks_to_reach(blocks_to_reach):
    """Corners, neighbours across a border, equal places, odd windows, and random pairs."""
    cases = [
        (8, 4, (0, 0), (3, 3)),
        (8, 4, (0, 0), (4, 0)),
        (8, 4, (3, 3), (4, 4)),
        (8, 4, (0, 0), (7, 7)),
        (8, 4, (2, 5), (2, 5)),
        (24, 6, (0, 0), (23, 23)),
        (24, 6, (23, 0), (0, 20)),
        (24, 6, (11, 2), (12, 2)),
        (15, 5, (4, 4), (5, 5)),
        (15, 5, (0, 14), (14, 7)),
        (9, 3, (0, 0), (8, 0)),
        (8, 4, (0, 0), (5, 0)),
        (24, 6, (0, 0), (8, 1)),
        (15, 5, (0, 0), (7, 0)),
    ]
    for _ in range(4):
        window, count = draw.integer(2, 6), draw.integer(2, 4)
        side = window * count
        places = [tuple(draw.integer(0, side - 1) for _ in "rc") for _ in range(2)]
        cases.append((side, window, *places))

    def changed(by):
        return lambda side, window, start, goal: _blocks(side, window, start, goal) + by

    compare(
        blocks_to_reach,
        _blocks,
        cases,
        [
            ("You count one block too many; where start is goal, no block is needed.", changed(1)),
            ("Where start is goal, no block is needed.", lambda *a: max(_blocks(*a), 1)),
            ("Count the block in which the message arrives as well.", changed(-1)),
            (
                "Count the block in which the message arrives, too.",
                lambda *a: max(_blocks(*a) - 1, 0),
            ),
            (
                "The first block has plain windows; you begin with a shifted one.",
                lambda *a: _blocks(*a, first=1),
            ),
            (
                "The mask is forgotten: windows that were wrapped around hold two regions, and no "
                "message passes between them.",
                lambda *a: _blocks(*a, wrap=True),
            ),
            (
                "That is the number of windows along the way; shifted blocks join halves of two "
                "windows.",
                lambda side, w, a, b: max((abs(p // w - q // w) for p, q in zip(a, b))) + 1,
            ),
        ],
        describe=lambda side, w, a, b: f"{side} x {side} map, window {w}, from {a} to {b}",
        form="an integer",
        hint="Spread the message over whole windows, plain and shifted by window // 2 in turn, "
        "beginning with plain ones, and count the blocks until it arrives.",
        integers=True,
    )
