"""Tiny data sets in every layout, written from scratch for the tests of readers and of `data check`."""

import numpy as np
from PIL import Image

COLOURS = ["red", "green", "blue", "orange", "purple", "teal"]


def picture(path, size=(40, 30), colour="red", **save):
    """Write a picture of one colour with a white corner at the top left."""
    image = Image.new("RGB", size, colour)
    image.paste("white", (0, 0, size[0] // 4, size[1] // 4))
    path.parent.mkdir(parents=True, exist_ok=True)
    image.save(path, **save)
    return path


def write(path, *lines, end="\n"):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes((end.join(str(line) for line in lines) + end).encode())
    return path


def cub_tree(root, classes=3, per_class=4, first_image=1, first_class=1, end="\n", parts=True):
    """A tree in the layout of CUB-200-2011; images of odd number within a class are for training."""
    rows = []
    for c in range(classes):
        name = f"{first_class + c:03d}.Bird_{c}"
        for k in range(per_class):
            rows.append((first_image + len(rows), first_class + c, f"{name}/{name[4:]}_{k}.jpg", 1 - k % 2))
            picture(root / "images" / rows[-1][2], colour=COLOURS[c % 6])
    write(root / "images.txt", *(f"{i} {path}" for i, _, path, _ in rows), end=end)
    write(root / "classes.txt", *(f"{first_class + c} {first_class + c:03d}.Bird_{c}" for c in range(classes)), end=end)
    write(root / "image_class_labels.txt", *(f"{i} {c}" for i, c, _, _ in rows), end=end)
    write(root / "train_test_split.txt", *(f"{i} {t}" for i, _, _, t in rows), end=end)
    write(root / "bounding_boxes.txt", *(f"{i} 4.0 3.0 20.0 12.0" for i, *_ in rows), end=end)
    if parts:
        write(root / "parts" / "parts.txt", "1 beak", "2 left eye", end=end)
        write(root / "parts" / "part_locs.txt",
              *(line for i, *_ in rows for line in (f"{i} 1 10.0 5.0 1", f"{i} 2 0.0 0.0 0")), end=end)
    return root


def class_folders(root, classes=("ant", "bee", "cat"), per_class=4):
    for c, name in enumerate(classes):
        for k in range(per_class):
            picture(root / name / f"{k}.jpg", colour=COLOURS[c])
    return root


def noise(path, size=(40, 30), seed=0, **save):
    """Write a picture of random pixels, so that truncation cuts into real data."""
    path.parent.mkdir(parents=True, exist_ok=True)
    pixels = np.random.default_rng(seed).integers(0, 256, (size[1], size[0], 3), dtype=np.uint8)
    Image.fromarray(pixels).save(path, **save)
    return path
