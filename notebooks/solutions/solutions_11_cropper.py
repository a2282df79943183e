"""Solutions of notebook 11."""

import numpy as np


def iou(a, b):
    """Exercise 11.1. Each overlap is clamped at 0 before the product: two negatives would look like
    an area.
    """
    width = max(0.0, min(a[2], b[2]) - max(a[0], b[0]))
    height = max(0.0, min(a[3], b[3]) - max(a[1], b[1]))
    shared = width * height
    area_a, area_b = (a[2] - a[0]) * (a[3] - a[1]), (b[2] - b[0]) * (b[3] - b[1])
    return shared / (area_a + area_b - shared)


def square_box(box, width, height):
    """Exercise 11.2. The two directions are independent; each is an interval to place inside 0 ..
    limit.
    """
    x0, y0, x1, y1 = box
    side = max(x1 - x0, y1 - y0)

    def place(low, high, limit):
        length = min(side, limit)
        start = (low + high - length) / 2  # around the same centre
        start = min(max(start, 0), limit - length)  # shifted back inside
        return start, start + length

    (left, right), (top, bottom) = place(x0, x1, width), place(y0, y1, height)
    return left, top, right, bottom


def component(mask, row, column):
    """Exercise 11.3. Flood fill with a list of cells still to visit; recursion would be too deep
    for large masks.
    """
    found = np.zeros_like(mask)
    waiting = [(row, column)]
    while waiting:
        r, c = waiting.pop()
        inside = (
            0 <= r < mask.shape[0] and 0 <= c < mask.shape[1]
        )  # without this, index -1 is the far side
        if inside and mask[r, c] and not found[r, c]:
            found[r, c] = True
            waiting += [(r + dr, c + dc) for dr in (-1, 0, 1) for dc in (-1, 0, 1)]
    return found
