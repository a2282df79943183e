"""The data sets: CUB-200-2011, Stanford Cars, Oxford-IIIT Pets, NABirds, the drawn SketchBirds, and any folder."""

from ..errors import unknown_name
from .base import Annotations, CountWarning, ImageDataset, split_validation
from .cached import CachedImages
from .cars import StanfordCars
from .cub import CUB200
from .folder import ImageFolderDataset
from .nabirds import NABirds
from .pets import OxfordPets
from .sketchbirds import SketchBirds

DATASETS = {dataset.name: dataset for dataset in (CUB200, StanfordCars, OxfordPets, NABirds, SketchBirds,
                                                  ImageFolderDataset)}
"""Name on the command line -> class."""

__all__ = ["CUB200", "StanfordCars", "OxfordPets", "NABirds", "SketchBirds", "ImageFolderDataset", "CachedImages", "ImageDataset", "Annotations",
           "CountWarning", "split_validation", "open_dataset", "readable_name", "DATASETS"]


def open_dataset(name, root=None, split="train", transform=None, **options):
    """Build a data set by name: ``"cub"``, ``"cars"``, ``"pets"``, ``"nabirds"``, ``"sketchbirds"`` or ``"folder"``.

    Raises:
        InputError: the name is unknown, or root is missing. DataError: the files are not as they should be.
    """
    if name not in DATASETS:
        raise unknown_name("data set", name, DATASETS)
    return DATASETS[name](root=root, split=split, transform=transform, **options)


def readable_name(name):
    """A class name as text: ``"001.Black_footed_Albatross"`` -> ``"Black footed Albatross"``."""
    number, dot, rest = str(name).partition(".")
    return (rest if dot and number.isdecimal() else str(name)).replace("_", " ")
