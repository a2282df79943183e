"""Solutions of notebook 02, window attention."""


def pairs(height, width, window):
    """Exercise 2.1. Every token is a query, and meets the window * window keys of its own
    window.
    """
    return height * width * window * window


def bias_row(query, key, window):
    """Exercise 2.2. Displacement of the query from the key, shifted to start at 0, counted row by
    row.
    """
    wh, ww = window
    dy = query // ww - key // ww  # between -(wh - 1) and wh - 1
    dx = query % ww - key % ww
    return (dy + wh - 1) * (2 * ww - 1) + (dx + ww - 1)


def find_token(row, column, width, window):
    """Exercise 2.3. Whole windows before it, then its place inside."""
    wh, ww = window
    number = (row // wh) * (width // ww) + column // ww
    return number, (row % wh) * ww + column % ww
