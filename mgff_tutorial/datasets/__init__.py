"""The data sets: CUB-200-2011, Stanford Cars, Oxford-IIIT Pets, NABirds, the drawn SketchBirds, and
any folder.
"""

from typing import Any

from ..support.errors import DataSetError, InputError, check_name, unknown_name
from ..support.files import as_path
from .base import (
    Annotations,
    CountWarning,
    Folder,
    ImageDataset,
    Transform,
    split_validation,
)
from .cached import CachedImages
from .cars import StanfordCars
from .cub import CUB200
from .folder import ImageFolderDataset
from .nabirds import NABirds
from .pets import OxfordPets
from .sketchbirds import SketchBirds

DATASETS: dict[str, type[ImageDataset]] = {
    dataset.name: dataset
    for dataset in (CUB200, StanfordCars, OxfordPets, NABirds, SketchBirds, ImageFolderDataset)
}
"""Name on the command line -> class."""

__all__ = [
    "CUB200",
    "StanfordCars",
    "OxfordPets",
    "NABirds",
    "SketchBirds",
    "ImageFolderDataset",
    "CachedImages",
    "ImageDataset",
    "Annotations",
    "CountWarning",
    "split_validation",
    "open_dataset",
    "open_split",
    "readable_name",
    "DATASETS",
]


def open_dataset(
    name: str,
    root: Folder | None = None,
    split: str = "train",
    transform: Transform | None = None,
    **options: Any,
) -> ImageDataset:
    """Build a data set by name: ``"cub"``, ``"cars"``, ``"pets"``, ``"nabirds"``, ``"sketchbirds"``
    or ``"folder"``.

    Raises:
        InputError: the name is unknown, or root is missing. DataError: the files are not as they
            should be.
    """
    kind = DATASETS[check_name("data set", name, DATASETS)]
    return kind(root=root, split=split, transform=transform, **options)


def open_split(data: str, root: Folder | None, split: str) -> ImageDataset:
    """A split of ``data``: the name of a data set (with its ``root``), or the path of a folder of
    class folders.

    Raises:
        InputError, DataError: as for `open_dataset`.
    """
    if is_folder(data):
        return open_dataset("folder", root=data, split=split)
    return open_dataset(data, root=root, split=split)


def is_folder(data: str) -> bool:
    """Whether ``data`` is the path of a folder of class folders, and not the name of a data set.

    Raises:
        DataError: a path with no folder. InputError: a word that is neither.
    """
    if data in DATASETS:
        return False
    path = as_path(data, "data")
    if path.is_dir():
        return True
    if path.exists() or any(mark in data for mark in "/\\~."):
        what = "is a file" if path.exists() else "does not exist"
        raise DataSetError(f"{data} {what}; expected a folder that holds one folder per class.")
    unknown = unknown_name("data set", data, DATASETS)
    raise InputError(f"{unknown} There is no folder of that name either.")


def readable_name(name: str) -> str:
    """A class name as text: ``"001.Black_footed_Albatross"`` -> ``"Black footed Albatross"``."""
    number, dot, rest = str(name).partition(".")
    return (rest if dot and number.isdecimal() else str(name)).replace("_", " ")
