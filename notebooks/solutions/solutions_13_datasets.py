"""Solutions of notebook 13: boxes, joined tables, stratified splits, EXIF orientation."""

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


def split(labels, fraction, seed):
    """Exercise 13.3. Shuffle each class by itself and cut off its share.

    At least one image of a class goes to validation and at least one stays; the generator is seeded
    once, so each class gets another shuffle and the whole split depends on the seed alone.
    """
    labels = np.asarray(labels)
    shuffle = np.random.default_rng(seed)
    validation = []
    for label in np.unique(labels):
        members = np.flatnonzero(labels == label)
        count = min(max(1, round(len(members) * fraction)), len(members) - 1)
        validation += shuffle.permutation(members)[:count].tolist()
    rest = sorted(set(range(len(labels))) - set(validation))
    return rest, sorted(validation)


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
