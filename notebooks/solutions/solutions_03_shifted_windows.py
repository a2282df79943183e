"""Solutions of notebook 03, shifted windows."""

import torch

from mgff_tutorial.windows import window_partition


def windows_that_need_a_mask(height, width, window, shift):
    """Exercise 3.1. The last row and the last column of windows were wrapped around; the corner
    counts once.

    A side with a single window is not shifted at all in Swin, but here the shift is asked for, and
    then it counts.
    """
    if shift == 0:
        return 0
    rows, columns = height // window, width // window
    return rows + columns - 1


def may_attend(first, second, window, shift):
    """Exercise 3.2. Both lie between the same borders: shift, shift + window, ... (before the first
    border: -1).
    """
    return all((a - shift) // window == (b - shift) // window for a, b in zip(first, second))


def mask_from_coordinates(height, width, window, shift):
    """Exercise 3.3. Number the shifted windows in the original places, roll the numbers as the map,
    compare.
    """
    rows = (torch.arange(height) - shift[0]).div(window[0], rounding_mode="floor")
    columns = (torch.arange(width) - shift[1]).div(window[1], rounding_mode="floor")
    numbers = rows[:, None] * (width + 1) + columns[None, :]  # one number a window
    rolled = numbers.roll((-shift[0], -shift[1]), (0, 1))
    cut = window_partition(rolled[None, :, :, None], window).squeeze(-1)  # (nW, N)
    return cut[:, :, None] == cut[:, None, :]


def blocks_to_reach(side, window, start, goal):
    """Exercise 3.4. Spread the message over whole windows, plain and shifted in turn, until it
    arrives.
    """
    reached, blocks = {start}, 0
    places = [(r, c) for r in range(side) for c in range(side)]
    while goal not in reached:
        shift = window // 2 if blocks % 2 else 0
        windows = {((r - shift) // window, (c - shift) // window) for r, c in reached}
        reached = {
            (r, c) for r, c in places if ((r - shift) // window, (c - shift) // window) in windows
        }
        blocks += 1
    return blocks
