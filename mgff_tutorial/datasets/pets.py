"""Oxford-IIIT Pets (Parkhi et al., 2012): 7,349 photographs of 37 breeds of cats and dogs, boxes
around heads.
"""

import xml.etree.ElementTree as ElementTree
from pathlib import Path

import numpy as np

from .base import Annotations, Folder, ImageDataset
from .tables import Problems, numbers, read_mapping, safe_relative

SPLIT_FILES = {"trainval.txt": True, "test.txt": False}


class OxfordPets(ImageDataset):
    """Oxford-IIIT Pets from its original tree (images/ and annotations/); see `ImageDataset`.

    ``root`` may be the folder that holds images/ and annotations/, its parent, or annotations/
    itself. The training split is trainval.txt. ``boxes`` are around the HEAD, from
    annotations/xmls; images without one have a NaN row (most of the test split).

    Attributes (besides those of `ImageDataset`):
        species: "cat" or "dog" for each class.
    """

    name = "pets"
    needed = ("trainval.txt", "annotations/trainval.txt", "list.txt", "annotations/list.txt")
    published = (3680, 3669, 37)
    home = (
        "Oxford-IIIT Pets is at https://www.robots.ox.ac.uk/~vgg/data/pets/ (see data/README.md)."
    )

    @classmethod
    def locate(cls, root: Folder | None) -> Path:
        found = super().locate(root)
        return found / "annotations" if (found / "annotations").is_dir() else found

    @staticmethod
    def read(root: Path, problems: Problems) -> Annotations:
        return read_pets(root, problems)

    @classmethod
    def check_read(cls, root: Path, problems: Problems) -> Annotations:
        found = cls.read(root, problems)
        found.boxes, found.sizes = read_head_boxes(root, found.ids, problems)
        return found

    def _read_boxes(self):
        boxes, sizes = self._sound(read_head_boxes, self.root, self.ids)
        if not np.isnan(boxes).all():
            self._stored_boxes, self._sizes = boxes, sizes


def read_pets(root, problems):
    """`Annotations` from the text files in ``root``, which is the folder annotations/."""
    rows, files = {}, {}
    for file, train in SPLIT_FILES.items():
        for name, (fields, line) in _read_list(root / file, problems).items():
            if name in rows:
                problems.add(
                    root / file,
                    line,
                    f"image {name} is in {files[name][0].name}, line {files[name][1]}, too",
                )
            else:
                rows[name], files[name] = (*fields, train), (root / file, line)
    names_of, species_of = {}, {}
    for name, (class_id, species, _) in rows.items():
        breed = name.rpartition("_")[0]
        if names_of.setdefault(class_id, breed) != breed:
            problems.add(
                *files[name], f"class {class_id} is {names_of[class_id]} elsewhere, {breed} here"
            )
        if species_of.setdefault(class_id, species) != species:
            problems.add(*files[name], f"class {class_id} is both cat and dog")
    _compare_with_list(root / "list.txt", rows, problems)
    order = {class_id: label for label, class_id in enumerate(sorted(names_of))}
    if not rows and not problems.errors:
        problems.add(root / "trainval.txt", None, "lists no images")
    images = root / "images" if (root / "images").is_dir() else root.parent / "images"
    return Annotations(
        root=root,
        classes=[names_of[class_id] for class_id in order],
        ids=list(rows),
        paths=[images / f"{name}.jpg" for name in rows],
        labels=[order[row[0]] for row in rows.values()],
        train=[row[2] for row in rows.values()],
        sources=[files[name] for name in rows],
        extras={"species": [("cat", "dog")[species_of[class_id] - 1] for class_id in order]},
    )


def read_head_boxes(root, ids, problems):
    """Head boxes from xmls/ for the images ``ids``.

    Returns:
        ((N, 4) array of xyxy pixels with NaN rows, list of annotated (width, height) or None).
    """
    boxes, sizes = np.full((len(ids), 4), np.nan), [None] * len(ids)
    for i, name in enumerate(ids):
        path = root / "xmls" / f"{name}.xml"
        if path.is_file():
            try:
                boxes[i], sizes[i] = _parse_head_box(path)
            except (
                OSError,
                ValueError,
                OverflowError,
                LookupError,
                ElementTree.ParseError,
            ) as error:
                problems.add(path, None, f"is not a sound annotation ({error})")
    return boxes, sizes


def _parse_head_box(path):
    text = path.read_bytes()
    if b"<!DOCTYPE" in text or b"<!ENTITY" in text or len(text) > 1_000_000:
        raise ValueError("too large, or it declares entities")
    tree = ElementTree.fromstring(text)
    box = numbers(
        [
            tree.findtext(f"object/bndbox/{key}", "").strip()
            for key in ("xmin", "ymin", "xmax", "ymax")
        ],
        "head box",
    )
    if box[0] >= box[2] or box[1] >= box[3]:
        raise ValueError("the head box is empty")
    size = [tree.findtext(f"size/{key}", "").strip() for key in ("width", "height")]
    return box, tuple(int(value) for value in numbers(size, "size")) if all(size) else None


def _read_list(path, problems):
    """list.txt, trainval.txt or test.txt as dict image name -> ((class id, species), line)."""
    values, lines = read_mapping(
        path, ["image", "class_id", "species", "breed_id"], problems, _row, comment="#"
    )
    for name in list(values):
        reason = safe_relative(name) or (
            None if "_" in name else f"the image name {name!r} has no breed in it"
        )
        if reason:
            problems.add(path, lines[name], reason)
            del values[name]
    return {name: (values[name], lines[name]) for name in values}


def _row(fields):
    if not fields[0].isdecimal() or int(fields[0]) < 1:
        raise ValueError(f"class_id must be a whole number from 1 up, got {fields[0]!r}")
    if fields[1] not in ("1", "2"):
        raise ValueError(f"species must be 1 (cat) or 2 (dog), got {fields[1]!r}")
    return int(fields[0]), int(fields[1])


def _compare_with_list(path, rows, problems):
    """list.txt names all images; what it says must agree with the two split files."""
    if not path.exists():
        return
    listed = _read_list(path, problems)
    for name, (fields, line) in listed.items():
        if name in rows and rows[name][:2] != fields:
            problems.add(path, line, f"contradicts the split files for image {name}")
    if left_out := sum(name not in rows for name in listed):
        problems.note(
            path, None, f"lists {left_out:,} images that are in neither trainval.txt nor test.txt"
        )
