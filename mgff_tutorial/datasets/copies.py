"""The same photograph twice: saved anew, made smaller or brighter, it has other bytes and the same
picture.
"""

import numpy as np
from PIL import Image

SIDE = 16  # pixels of a thumbnail's side
ALIKE = 0.97  # correlation of two thumbnails of one picture; see data/README.md for the measurement
FLAT = 2.0  # grey values of spread, below which a picture shows nothing to compare
CHUNK = 2048  # test images compared at a time


def thumbnail(image):
    """(SIDE * SIDE,) uint8: the grey values of a small copy of an RGB PIL image."""
    small = image.resize((SIDE, SIDE), Image.Resampling.BOX)
    return np.asarray(small.convert("L"), dtype=np.uint8).ravel()


def closest_copies(thumbnails, is_train):
    """Test images that show the same picture as a training image.

    Args:
        thumbnails: dict of index -> `thumbnail`. is_train: whether each index is for training.

    Returns:
        List of (test index, index of the training image that is most like it).
    """
    known, asked = (
        _patterns({i: t for i, t in thumbnails.items() if bool(is_train[i]) == half})
        for half in (True, False)
    )
    copies = []
    for start in range(0, len(asked[0]) if len(known[0]) else 0, CHUNK):
        alike = asked[1][start : start + CHUNK] @ known[1].T
        best = alike.argmax(1)
        rows = np.flatnonzero(alike.max(1) > ALIKE)
        copies += [(asked[0][start + row], known[0][best[row]]) for row in rows]
    return copies


def _patterns(thumbnails):
    """(indices, their thumbnails (n, SIDE * SIDE) with mean 0 and length 1), flat ones left out."""
    if not thumbnails:
        return [], np.zeros((0, SIDE * SIDE), np.float32)
    values = np.stack(list(thumbnails.values())).astype(np.float32)
    values -= values.mean(1, keepdims=True)
    spread = values.std(1)
    rows = np.flatnonzero(spread > FLAT)
    indices = list(thumbnails)
    return [indices[row] for row in rows], values[rows] / (spread[rows, None] * SIDE)
