"""A folder of class folders: what every course project has."""

import os
from pathlib import Path

import numpy as np

from ..support.errors import InputError, check_number, counted
from ..support.files import as_path
from ..support.images import EXTENSIONS, UNREAD
from .base import Annotations, Folder, ImageDataset, Transform
from .tables import Problems

SPLIT_FOLDERS = {
    "train": ("train", "training"),
    "test": ("test", "testing", "val", "valid", "validation"),
}


class ImageFolderDataset(ImageDataset):
    """``root/CLASS/image.jpg``, or ``root/train/CLASS/...`` and ``root/test/CLASS/...`` (or
    ``val``).

    Classes are the folder names in alphabetical order. Without train and test folders, each class
    is split once, in the same way on every machine.

    Args:
        root: the folder of folders.
        split: ``"train"``, ``"test"`` or ``"all"``.
        transform: applied to the PIL image.
        test_fraction: share of each class kept for the test split where the folder does not say; 0
            to 0.9.
        seed: of that split.

    Raises:
        DataError: there are no class folders, a class has no image, or test has a class that train
            lacks.
    """

    name = "folder"
    more_images = "each class needs two or more, or a folder train/ a folder test/ beside it"

    def __init__(
        self,
        root: Folder | None,
        split: str = "train",
        transform: Transform | None = None,
        test_fraction: float = 0.25,
        seed: int = 0,
    ) -> None:
        check_number("test_fraction", test_fraction, 0, 0.9)
        self._options = test_fraction, seed
        super().__init__(root, split, transform)

    @classmethod
    def locate(cls, root: Folder | None) -> Path:
        if root is None:
            raise InputError(
                "folder needs root: a folder that holds one folder of images for each class."
            )
        return as_path(root, "root")

    def read(self, root: Path, problems: Problems) -> Annotations:
        return read_folder(root, problems, *self._options)

    @classmethod
    def check_read(cls, root: Path, problems: Problems) -> Annotations:
        return read_folder(root, problems)


def read_folder(root, problems, test_fraction=0.25, seed=0):
    """`Annotations` of a folder of class folders; see `ImageFolderDataset`."""
    halves = {half: _first_folder(root, names) for half, names in SPLIT_FOLDERS.items()}
    if halves["train"]:
        classes, rows = read_halves(halves, problems)
    else:
        found = list_classes(root, problems)
        classes = list(found)
        rows = [
            (path, label, train)
            for label, files in enumerate(found.values())
            for path, train in zip(files, _split(len(files), test_fraction, seed + label))
        ]
    return Annotations(
        root=Path(root),
        classes=classes,
        paths=[row[0] for row in rows],
        labels=[row[1] for row in rows],
        train=[row[2] for row in rows],
    )


def read_halves(halves, problems):
    """Class folders in two folders.

    Args:
        halves: dict with "train" and "test": a folder, or None where there is none.

    Returns:
        (class names of train, list of (path, label, in train)).
    """
    found = {
        half: list_classes(folder, problems) if folder else {} for half, folder in halves.items()
    }
    classes = list(found["train"])
    for name in sorted(set(found["test"]) - set(classes)):
        problems.add(
            halves["test"] / name, None, f"is a class that {halves['train']} does not have"
        )
    order = {name: label for label, name in enumerate(classes)}
    return classes, [
        (path, order[name], half == "train")
        for half in ("train", "test")
        for name, files in found[half].items()
        if name in order
        for path in files
    ]


def list_classes(root, problems):
    """Dict class name -> sorted image files (Path) below its folder. Hidden folders and other files
    are left out.

    Links to folders are followed once, so a loop of links ends.
    """
    try:
        folders = sorted(
            entry.name
            for entry in os.scandir(root)
            if not entry.name.startswith(".") and _is_dir(entry)
        )
    except OSError as error:
        problems.add(root, None, f"cannot be read: {error.strerror}")
        return {}
    if not folders:
        images = len(list_images(root, problems))
        held = f"{counted(images, 'image')} but no" if images else "no"
        problems.add(
            root, None, f"holds {held} class folders; expected one folder of images for each class"
        )
    found = {name: list_images(root / name, problems) for name in folders}
    for name in folders:
        if not found[name]:
            held = unread_hint(root / name) or "no image; remove it or add images of the class"
            problems.add(root / name, None, f"holds {held}")
    return found


def unread_hint(folder):
    """A clause about photographs below ``folder`` that Pillow does not read, or None."""
    for _, _, names in os.walk(folder):
        if any(os.path.splitext(name)[1].lower() in UNREAD for name in names):
            return "photographs in a format that is not read (HEIC or raw); save them as JPEG"
    return None


def list_images(folder, problems):
    """Image files (by extension) in ``folder`` and below, sorted."""
    unread = lambda where, error: problems.add(where, None, f"cannot be read: {error.strerror}")
    return sorted(walk_images(folder, unread))


def walk_images(folder, unread):
    """Image files (by extension) in ``folder`` and below, one after the other, without listing them
    all first.

    Within a folder, files come first and by name. Hidden files and folders are left out; links to
    folders are followed, each real folder once, so loops end.

    Args:
        folder: where to begin.
        unread: called with (folder, `OSError`) where one cannot be read.

    Yields:
        Path.
    """
    seen, waiting = set(), [Path(folder)]
    while waiting:
        current = waiting.pop()
        try:
            status = os.stat(current)
            with os.scandir(current) as listing:
                entries = sorted((e.name, _is_dir(e)) for e in listing if e.name[0] != ".")
        except OSError as error:
            unread(current, error)
            continue
        if (status.st_dev, status.st_ino) not in seen:
            seen.add((status.st_dev, status.st_ino))
            waiting.extend(current / name for name, is_dir in reversed(entries) if is_dir)
            for name, is_dir in entries:
                if not is_dir and os.path.splitext(name)[1].lower() in EXTENSIONS:
                    yield current / name


def _is_dir(entry):
    try:
        return entry.is_dir()
    except OSError:  # a link that points at itself: reported when it is opened as an image
        return False


def _first_folder(root, names):
    return next((root / name for name in names if (root / name).is_dir()), None)


def _split(count, fraction, seed):
    """Whether each of ``count`` images is for training; one image at least is."""
    tests = min(round(count * fraction), count - 1)
    if fraction and count > 1:
        tests = max(1, tests)
    order = np.random.default_rng(seed).permutation(count)
    train = np.ones(count, dtype=bool)
    train[order[:tests]] = False
    return train.tolist()
