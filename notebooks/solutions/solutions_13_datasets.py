"""Solutions of notebook 13: boxes, joined tables, a split by groups, EXIF orientation."""

import numpy as np


def to_xyxy(boxes):
    """Exercise 13.1. The second corner is the first one plus width and height."""
    corners = boxes.copy()  # the caller may still need the boxes as they were
    corners[:, 2:] = boxes[:, :2] + boxes[:, 2:]
    return corners


def join(images, class_ids, classes):
    """Exercise 13.2. Look everything up by id; number the classes by the order of their ids as
    numbers.

    The order must come from the list of all classes, not from the images at hand: both splits, and
    every machine, then agree on what label 1 means.
    """
    label_of = {class_id: label for label, class_id in enumerate(sorted(classes, key=int))}
    return [(path, label_of[class_ids[image_id]]) for image_id, path in images.items()]


def split_by_group(groups, fraction, seed):
    """Exercise 13.3. Shuffle the groups, not the pictures, and take whole ones until there are
    enough.

    The share is no longer exact, and classes may come out unequal: that is the price. Without it a
    validation picture may show the very bird, the very second, that a training picture shows.
    """
    names = sorted(set(groups))
    order = np.random.default_rng(seed).permutation(len(names))
    chosen, count = set(), 0
    for i in order:
        if count >= fraction * len(groups):
            break
        chosen.add(names[i])
        count += groups.count(names[i])
    held = [i for i, group in enumerate(groups) if group in chosen]
    rest = [i for i, group in enumerate(groups) if group not in chosen]
    return rest, held


def turn_box(box, size, orientation):
    """Exercise 13.4. Move both corners, then sort the coordinates: the turn may swap which corner
    is the upper left.

    6: the camera was held turned, the viewer turns the picture clockwise; a point (x, y) of the
    stored picture goes to (height - y, x). 8 is the turn the other way: (y, width - x). 3 is both
    flips.
    """
    (x0, y0, x1, y1), (width, height) = box, size
    move = {
        1: lambda x, y: (x, y),
        3: lambda x, y: (width - x, height - y),
        6: lambda x, y: (height - y, x),
        8: lambda x, y: (y, width - x),
    }[orientation]
    (ax, ay), (bx, by) = move(x0, y0), move(x1, y1)
    return min(ax, bx), min(ay, by), max(ax, bx), max(ay, by)
