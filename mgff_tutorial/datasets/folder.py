"""A folder of class folders: what every course project has."""

import os

import numpy as np

from ..errors import DataError, InputError
from ..images import EXTENSIONS
from .base import SPLITS, Annotations, ImageDataset

SPLIT_FOLDERS = {"train": ("train", "training"), "test": ("test", "testing", "val", "valid", "validation")}


class ImageFolderDataset(ImageDataset):
    """``root/CLASS/image.jpg``, or ``root/train/CLASS/...`` and ``root/test/CLASS/...`` (or ``val``).

    Classes are the folder names in alphabetical order. Without train and test folders, each class is split once,
    in the same way on every machine.

    Args:
        root: the folder of folders.
        split: ``"train"``, ``"test"`` or ``"all"``.
        transform: applied to the PIL image.
        test_fraction: share of each class kept for the test split where the folder does not say; 0 to 0.9.
        seed: of that split.

    Raises:
        DataError: there are no class folders, a class has no image, or test has a class that train lacks.
    """

    name = "folder"

    def __init__(self, root, split="train", transform=None, test_fraction=0.25, seed=0):
        if isinstance(test_fraction, bool) or not isinstance(test_fraction, (int, float)) or not 0 <= test_fraction <= 0.9:
            raise InputError(f"test_fraction must be from 0 to 0.9, got {test_fraction!r}.")
        super().__init__(read_folder(root, test_fraction, seed), split, transform)


def read_folder(root, test_fraction=0.25, seed=0):
    """`Annotations` of a folder of class folders; see `ImageFolderDataset`."""
    root = os.fspath(root)
    halves = {half: _first_folder(root, names) for half, names in SPLIT_FOLDERS.items()}
    if halves["train"]:
        found = {half: list_classes(folder) for half, folder in halves.items() if folder}
        extra = sorted(set(found.get("test", {})) - set(found["train"]))
        if extra:
            raise DataError(f"{halves['test']} has class {extra[0]!r}, which {halves['train']} does not have.")
        classes = list(found["train"])
        rows = [(path, classes.index(name), half == "train")
                for half in found for name, files in found[half].items() for path in files]
    else:
        found = list_classes(root)
        classes = list(found)
        rows = [(path, label, train) for label, files in enumerate(found.values())
                for path, train in zip(files, _split(len(files), test_fraction, seed + label))]
    from pathlib import Path
    return Annotations(root=Path(root), classes=classes, paths=[Path(row[0]) for row in rows],
                       labels=[row[1] for row in rows], train=[row[2] for row in rows])


def list_classes(root):
    """Dict class name -> sorted image files below its folder. Hidden folders and other files are left out.

    Links to folders are followed once, so a loop of links ends.
    """
    try:
        folders = sorted(e.name for e in os.scandir(root) if not e.name.startswith(".") and e.is_dir())
    except OSError as error:
        raise DataError(f"{root} cannot be read: {error.strerror}.") from None
    if not folders:
        raise DataError(f"{root} holds no class folders; expected one folder of images for each class.")
    found = {name: list_images(os.path.join(root, name)) for name in folders}
    empty = [name for name, files in found.items() if not files]
    if empty:
        raise DataError(f"{os.path.join(root, empty[0])} holds no image; remove it or add images of the class.")
    return found


def list_images(folder):
    """Image files (by extension) in ``folder`` and below, sorted; each real folder is visited once."""
    images, seen, waiting = [], set(), [folder]
    while waiting:
        current = waiting.pop()
        real = os.path.realpath(current)
        if real in seen:
            continue
        seen.add(real)
        try:
            entries = list(os.scandir(current))
        except OSError as error:
            raise DataError(f"{current} cannot be read: {error.strerror}.") from None
        for entry in entries:
            if entry.name.startswith("."):
                continue
            if _is_dir(entry):
                waiting.append(entry.path)
            elif os.path.splitext(entry.name)[1].lower() in EXTENSIONS:
                images.append(entry.path)
    return sorted(images)


def _is_dir(entry):
    try:
        return entry.is_dir()
    except OSError:  # a link that points at itself: reported when it is opened as an image
        return False


def _first_folder(root, names):
    return next((os.path.join(root, name) for name in names if os.path.isdir(os.path.join(root, name))), None)


def _split(count, fraction, seed):
    """Whether each of ``count`` images is for training; one image at least is."""
    tests = min(round(count * fraction), count - 1)
    if fraction and count > 1:
        tests = max(1, tests)
    order = np.random.default_rng(seed).permutation(count)
    train = np.ones(count, dtype=bool)
    train[order[:tests]] = False
    return train.tolist()
