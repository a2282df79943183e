"""CUB-200-2011 (Wah et al., 2011): 11,788 photographs of 200 bird species, with boxes and 15 part
locations.

The layout is the one most copied: SketchBirds and NABirds use it too, so their readers share this
    code.
"""

import os
from pathlib import Path

import numpy as np

from .base import Annotations, ImageDataset
from .tables import Problems, numbers, read_mapping, read_rows, safe_relative


class CUB200(ImageDataset):
    """CUB-200-2011 from its original tree, or a part of it; see `ImageDataset`."""

    name = "cub"
    published = (5994, 5794, 200)
    home = (
        "CUB-200-2011 is at https://www.vision.caltech.edu/datasets/cub_200_2011/ (see "
        "data/README.md)."
    )

    @staticmethod
    def read(root: Path, problems: Problems) -> Annotations:
        return read_cub(root, problems)

    @classmethod
    def check_read(cls, root: Path, problems: Problems) -> Annotations:
        found = cls.read(root, problems)
        read_parts(root, found.ids, found.part_names, problems)
        return found

    def _read_parts(self):
        return self._sound(read_parts, self.root, self.ids, self.part_names)


def read_cub(root, problems):
    """Read the text files of a tree in the layout of CUB.

    Args:
        root: the folder that holds images.txt.
        problems: `Problems` to add to; with none but notes, the result is complete.

    Returns:
        `Annotations` of all images, in the order of images.txt.
    """
    names, name_lines = read_mapping(root / "images.txt", ["image_id", "path"], problems, rest=True)
    classes, order = read_classes(root / "classes.txt", problems)
    classes_of, _ = read_mapping(
        root / "image_class_labels.txt", ["image_id", "class_id"], problems
    )
    train_of, _ = read_mapping(
        root / "train_test_split.txt", ["image_id", "is_training_image"], problems, _flag
    )
    boxes_of = read_boxes(root, problems)
    tables = {"image_class_labels.txt": classes_of, "train_test_split.txt": train_of}
    tables |= {} if boxes_of is None else {"bounding_boxes.txt": boxes_of}
    ids = []
    for key, name in names.items():
        absent = [file for file, table in tables.items() if key not in table]
        reason = safe_relative(name) or (
            f"image {key} has no row in {absent[0]}"
            if absent
            else f"image {key} has class {classes_of[key]}, which is not in classes.txt"
            if classes_of[key] not in order
            else None
        )
        if reason is None:
            ids.append(key)
        else:
            problems.add(root / "images.txt", name_lines[key], reason)
    for file, table in tables.items():  # normal in a part of the full tree, so only a note
        if extra := sum(key not in names for key in table):
            problems.note(
                root / file, None, f"has {extra:,} rows for images that images.txt does not list"
            )
    _check_twice_named(root / "images.txt", names, name_lines, problems)
    if not names and not problems.errors:
        problems.add(root / "images.txt", None, "lists no images")
    images, source = root / "images", root / "images.txt"
    return Annotations(
        root=root,
        classes=classes,
        ids=ids,
        labels=[order[classes_of[key]] for key in ids],
        train=[train_of[key] for key in ids],
        paths=[os.path.join(images, names[key]) for key in ids],
        boxes=None if boxes_of is None else np.reshape([boxes_of[key] for key in ids], (-1, 4)),
        part_names=read_part_names(root, problems),
        sources=[(source, name_lines[key]) for key in ids],
    )


def read_classes(path, problems):
    """classes.txt as (class names in label order, dict class id -> label); ids may start anywhere
    and have gaps.
    """
    names, lines = read_mapping(path, ["class_id", "class_name"], problems, rest=True)
    # Numeric order where ids are numbers, so that 10 comes after 9.
    keys = sorted(names, key=lambda key: (0, int(key), "") if key.isdecimal() else (1, 0, key))
    if not names and not any(p.file == str(path) for p in problems):
        problems.add(path, None, "lists no classes")
    firsts = {names[key]: key for key in reversed(keys)}
    for key in keys:
        if firsts[names[key]] != key:
            problems.note(path, lines[key], f"gives the name {names[key]!r} to a second class")
    return [names[key] for key in keys], {key: label for label, key in enumerate(keys)}


def read_boxes(root, problems):
    """bounding_boxes.txt (x, y, width, height) as dict image id -> (x0, y0, x1, y1), or None if
    there is no such file.
    """
    path = root / "bounding_boxes.txt"
    return (
        read_mapping(path, ["image_id", "x", "y", "width", "height"], problems, _xywh)[0]
        if path.exists()
        else None
    )


def read_part_names(root, problems):
    """Names of parts/parts.txt in the order of their ids; empty if there is no such file."""
    path = root / "parts" / "parts.txt"
    return read_classes(path, problems)[0] if path.exists() else []


def read_parts(root, ids, part_names, problems):
    """parts/part_locs.txt for the images ``ids``: (N, P, 3) array of x, y, visible; zeros where a
    row is missing.

    Returns None if there is no such file.
    """
    path = root / "parts" / "part_locs.txt"
    if not (part_names and path.exists()):
        return None
    _, column_of = read_classes(root / "parts" / "parts.txt", Problems())
    row_of = {key: row for row, key in enumerate(ids)}
    parts = np.zeros((len(ids), len(part_names), 3))
    for number, (key, part, *fields) in read_rows(
        path, ["image_id", "part_id", "x", "y", "visible"], problems
    ):
        if part not in column_of:
            problems.add(path, number, f"part {part} is not in parts.txt")
        elif key in row_of:  # else of the other split, or of the full data set
            try:
                parts[row_of[key], column_of[part]] = _part(fields)
            except ValueError as error:
                problems.add(path, number, str(error))
    return parts


def _part(fields):
    place = numbers(fields, "part location")
    if place[2] not in (0, 1):
        raise ValueError(f"visible must be 0 or 1, got {fields[2]!r}")
    return place


def _flag(fields):
    if fields[0] not in ("0", "1"):
        raise ValueError(f"is_training_image must be 0 or 1, got {fields[0]!r}")
    return fields[0] == "1"


def _xywh(fields):
    x, y, width, height = numbers(fields, "box")
    if width <= 0 or height <= 0:
        raise ValueError(f"the box is {width:g} x {height:g} pixels")
    return x, y, x + width, y + height


def _check_twice_named(path, names, lines, problems):
    """One file under two ids would be counted twice, maybe in both splits."""
    firsts = {name: key for key, name in reversed(names.items())}
    for key, name in names.items():
        if firsts[name] != key:
            problems.add(
                path, lines[key], f"names the file of line {lines[firsts[name]]} again ({name})"
            )
