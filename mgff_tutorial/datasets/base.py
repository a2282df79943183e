"""What all data sets share: images with class labels, boxes and parts that follow EXIF, splits,
checked counts.
"""

import numbers
import operator
import warnings
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from os import PathLike
from pathlib import Path
from typing import Any, SupportsIndex, TypeVar

import numpy as np
import torch
from PIL import Image
from torch.utils.data import Dataset

from ..support.errors import (
    DataError,
    DataSetError,
    InputError,
    check_name,
    check_number,
)
from ..support.images import image_geometry, open_image, upright_box, upright_points, upright_size
from .tables import Problems

ONE_CLASS = "holds one class; a classifier needs two or more"
SPLITS = ("train", "test", "all")
Folder = str | PathLike[str]
Transform = Callable[[Image.Image], Any]
Self = TypeVar("Self", bound="ImageDataset")  # typing.Self needs Python 3.11


class CountWarning(UserWarning):
    """The number of images or classes is not the published one."""


@dataclass
class Annotations:
    """What a reader found in the text files, for all images of a data set.

    Attributes:
        root: the folder that holds the text files.
        classes: class names, in label order.
        paths: image files, str or Path (not opened).
        labels: label of each image; None where it is not known.
        train: whether each image is in the training split.
        boxes: (N, 4) xyxy pixels of the stored image, NaN where an image has none; None if the data
            set has none.
        sizes: (width, height) of each image as the annotators saw it, or None.
        part_names: names of the parts; empty if the data set has none.
        ids: the id of each image in the text files.
        sources: (file, line or None) that names each image, for messages.
        unlabelled: why labels are None, as a sentence.
        extras: dict of what only one data set has; becomes attributes of it.
    """

    root: Path
    classes: list
    paths: list
    labels: list
    train: list
    boxes: np.ndarray | None = None
    sizes: list | None = None
    part_names: list = field(default_factory=list)
    ids: list = field(default_factory=list)
    sources: list = field(default_factory=list)
    unlabelled: str = ""
    extras: dict = field(default_factory=dict)


class ImageDataset(Dataset[tuple[Any, int]]):
    """Images with class labels; ``dataset[i]`` is (image, label), the image a PIL image or what
    ``transform`` makes of it.

    Args:
        root: the folder that holds the text files, or its parent.
        split: ``"train"``, ``"test"`` or ``"all"``.
        transform: applied to the PIL image.

    Raises:
        DataError: a text file is missing or malformed; names the file and line.

    Attributes:
        paths: list of Path. labels: list of int. classes: list of str, in label order. root: Path.
        boxes: (N, 4) float tensor, xyxy pixels of the upright image, clipped to it; NaN rows where
            an image has no box; None if the data set has no boxes. Read on first use, with the
            image headers.
        parts: (N, P, 3) float tensor of x, y (pixels of the upright image) and visible (0 or 1), or
            None.
        part_names: list of P str.
    """

    name = "images"
    least: int | None = None  # of `support.images.open_image`; None: images as they are
    # the file that marks the folder of text files, or one of several
    needed: str | tuple[str, ...] = "images.txt"
    # (training images, test images, classes) of the published split
    published: tuple[int, int, int] | None = None
    home = ""  # where to get the data set, for messages
    more_images = ""  # what a split without images is in need of, where the reader can tell

    root: Path
    split: str
    transform: Transform | None
    classes: list[str]
    part_names: list[str]
    paths: list[Path]
    labels: list[int]
    ids: list[str]

    def __init__(
        self, root: Folder | None, split: str = "train", transform: Transform | None = None
    ) -> None:
        check_name("split", split, SPLITS)
        if transform is not None and not callable(transform):
            raise InputError(
                f"transform must be a function of a PIL image, got {type(transform).__name__}."
            )
        annotations = self._sound(self.read, self.locate(root))
        train = sum(annotations.train)
        message = count_difference(
            self.name,
            self.published,
            train,
            len(annotations.train) - train,
            len(annotations.classes),
        )
        if message:
            warnings.warn(message, CountWarning, stacklevel=2)
        rows = [
            i
            for i, train in enumerate(annotations.train)
            if split == "all" or train == (split == "train")
        ]
        if not rows:
            hint = f" ({self.more_images})" if self.more_images else ""
            raise DataError(
                f"{self.name}: the {split} split in {annotations.root} has no images{hint}."
            )
        if any(annotations.labels[i] is None for i in rows):
            raise DataError(
                f"{self.name}: the {split} split has no labels. {annotations.unlabelled}"
            )
        self._fill(annotations, rows, split, transform)

    def _sound(self, read, *arguments):
        """What a reader of text files returns, unless it finds a problem."""
        problems = Problems()
        found = read(*arguments, problems)
        problems.refuse(self.name, arguments[0] if arguments else None)
        return found

    @classmethod
    def locate(cls, root: Folder | None) -> Path:
        """The folder that holds the text files: ``root`` or a folder in it."""
        return find_root(root, cls.needed, cls.name, cls.home)

    @staticmethod
    def read(root: Path, problems: Problems) -> Annotations:
        """Read the text files in ``root`` into `Annotations`, adding what is wrong to
        ``problems``.
        """
        raise NotImplementedError

    @classmethod
    def check_read(cls, root: Path, problems: Problems) -> Annotations:
        """As `read`, and what is otherwise read on first use (parts, head boxes) too; for ``data
        check``.
        """
        return cls.read(root, problems)

    def _fill(self, annotations, rows, split, transform):
        self.root, self.split, self.transform = annotations.root, split, transform
        self.classes, self.part_names = annotations.classes, annotations.part_names
        self.paths = [Path(annotations.paths[i]) for i in rows]
        self.labels = [annotations.labels[i] for i in rows]
        self.ids = [annotations.ids[i] for i in rows] if annotations.ids else []
        self._stored_boxes = None if annotations.boxes is None else annotations.boxes[rows]
        self._sizes = None if annotations.sizes is None else [annotations.sizes[i] for i in rows]
        self._boxes = self._parts = self._geometry = None
        self.__dict__.update(annotations.extras)

    def __len__(self) -> int:
        return len(self.paths)

    def __getitem__(self, index: SupportsIndex) -> tuple[Any, int]:
        image = self.image(index)
        return (image if self.transform is None else self.transform(image)), self.labels[index]

    def __repr__(self) -> str:
        return (
            f"{type(self).__name__}({self.split}: {len(self)} images of "
            f"{len(self.classes)} classes)"
        )

    def image(self, index: SupportsIndex) -> Image.Image:
        """The upright RGB PIL image at ``index``, without the transform."""
        return open_image(self.paths[_whole(index)], self.least)

    @property
    def boxes(self) -> torch.Tensor | None:
        if self._stored_boxes is None:
            self._read_boxes()
        if self._boxes is None and self._stored_boxes is not None:
            rows = [self._upright_box(i) for i in range(len(self))]
            self._boxes = torch.tensor(np.array(rows).reshape(-1, 4), dtype=torch.float32)
        return self._boxes

    @property
    def parts(self) -> torch.Tensor | None:
        stored = self._read_parts() if self._parts is None else None
        if stored is not None:
            for i, points in enumerate(stored):
                turn = self._turn(i, points[points[:, 2] > 0, :2])
                if turn is not None:
                    points[:, :2] = upright_points(points[:, :2], *turn)
            self._parts = torch.tensor(stored, dtype=torch.float32)
        return self._parts

    def _read_boxes(self):
        """Fill ``_stored_boxes`` (and ``_sizes``) on first use; data sets that keep boxes in many
        files override this.
        """

    def _read_parts(self):
        """(N, P, 3) array of x, y in stored pixels and visible, or None; data sets that have parts
        override this.
        """
        return None

    def subset(
        self: Self, indices: Iterable[SupportsIndex], transform: Transform | None = None
    ) -> Self:
        """The same data set with the images at ``indices`` only (a sequence of int), and another
        transform.
        """
        rows = [int(i) for i in indices]
        bad = [i for i in rows if not 0 <= i < len(self)]
        if bad:
            raise InputError(f"indices must be from 0 to {len(self) - 1}, got {bad[0]}.")
        other = object.__new__(type(self))
        other.__dict__.update(self.__dict__, transform=transform)
        for name in ("paths", "labels", "ids", "_sizes", "_geometry"):
            values = getattr(self, name)
            setattr(other, name, [values[i] for i in rows] if values else values)
        for name in ("_stored_boxes", "_boxes", "_parts"):
            values = getattr(self, name)
            setattr(other, name, None if values is None else values[rows])
        return other

    def _upright_box(self, index):
        box = self._stored_boxes[index]
        geometry = self._geometry_of(index)
        if geometry is None or np.isnan(box).any():
            return box
        turn = self._turn(index, box.reshape(2, 2))
        if turn is not None:
            box = upright_box(box, *turn)
        return np.clip(box, 0, 2 * upright_size(*geometry))

    def _turn(self, index, points):
        """(stored size, orientation) if annotations of this image must be turned with it, else
        None.

        Annotations are in stored pixels, as tools that ignore EXIF show them, unless the annotated
        size or the points themselves only fit the upright picture.
        """
        geometry = self._geometry_of(index)
        if geometry is None or geometry[1] == 1:
            return None
        size, orientation = geometry
        upright = upright_size(size, orientation)
        annotated = self._sizes[index] if self._sizes is not None else None
        if size != upright and annotated in (size, upright):
            return None if annotated == upright else geometry
        fits = {s: bool((points <= np.array(s) + 1).all()) for s in (size, upright)}
        return None if fits[upright] and not fits[size] else geometry

    def _geometry_of(self, index):
        """((width, height), orientation) from the image's header, or None if it cannot be read."""
        if self._geometry is None:
            self._geometry = [_geometry_or_none(path) for path in self.paths]
        return self._geometry[index]


def _whole(index):
    try:
        return operator.index(index)
    except TypeError:
        raise TypeError(
            f"index must be an integer, got {type(index).__name__}; several images: dataset.subset."
        ) from None


def _geometry_or_none(path):
    try:
        return image_geometry(path)
    except DataError:  # reported when the image is opened, and by `data check`
        return None


def count_difference(name, published, train, test, classes):
    """One sentence if the numbers of images and classes differ from the published split, else
    None.
    """
    if published is None or (train, test, classes) == tuple(published):
        return None
    return (
        f"{name}: {train:,} training and {test:,} test images of {classes} classes; the published "
        f"split has "
        f"{published[0]:,} and {published[1]:,} of {published[2]}."
    )


def find_root(root, needed, name, home):
    """The folder that holds the file or folder ``needed`` (or one of them): ``root`` itself or a
    folder inside it.

    Raises:
        DataSetError: there is none, or more than one; says what was looked for and where the data
            set comes from.
    """
    if root is None:
        raise InputError(f"{name} needs root: the folder with its files. {home}")
    try:
        root = Path(root)
        needed = [needed] if isinstance(needed, str) else list(needed)
        if not root.is_dir():
            problem = "is not a folder" if root.exists() else "does not exist"
            raise DataSetError(f"{name}: {root} {problem}. {home}")
        folders = [root, *sorted(p for p in root.iterdir() if p.is_dir())]
        found = [folder for folder in folders if any((folder / n).exists() for n in needed)]
    except (OSError, TypeError) as error:
        reason = getattr(error, "strerror", None) or error
        raise DataSetError(f"{name}: {root!r} cannot be read: {reason}.") from None
    if not found:
        raise DataSetError(
            f"{name}: neither {root} nor a folder in it holds {' or '.join(needed)}. {home}"
        )
    if found[0] != root and len(found) > 1:
        raise DataSetError(
            f"{name}: {root} holds more than one data set ({found[0].name}, {found[1].name}); "
            "name one of them as root."
        )
    return found[0]


def split_validation(
    dataset: ImageDataset, fraction: float = 0.1, seed: int = 0
) -> tuple[list[int], list[int]]:
    """Split a training set in two, class by class: choices are made on the second, never on the
    test set.

    Args:
        dataset: an `ImageDataset`.
        fraction: share of each class that goes to validation, above 0 and below 1 (rounded; at
            least one image of each class that has two or more, and never all of a class).
        seed: of the shuffle; the same seed gives the same split on every machine.

    Returns:
        (rest, validation), two lists of indices, sorted; use with ``dataset.subset``.
    """
    if isinstance(fraction, bool) or not isinstance(fraction, numbers.Real) or not 0 < fraction < 1:
        raise InputError(f"fraction must be above 0 and below 1, got {fraction!r}.")
    check_number("seed", seed, 0, whole=True)
    labels = np.asarray(dataset.labels)
    chosen = np.zeros(len(labels), dtype=bool)
    shuffle = np.random.default_rng(seed)
    for label in np.unique(labels):
        members = np.flatnonzero(labels == label)
        count = min(max(1, round(len(members) * fraction)), len(members) - 1)
        chosen[shuffle.permutation(members)[:count]] = True
    return np.flatnonzero(~chosen).tolist(), np.flatnonzero(chosen).tolist()
