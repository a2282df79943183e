"""Where the embedded data lies: in the checkout, inside the wheel, or in a cache folder."""

import os
from pathlib import Path

PACKAGE = Path(__file__).resolve().parent.parent


def cache_dir():
    """Folder for what is made on first use; ``MGFF_CACHE`` moves it."""
    default = Path(os.environ.get("XDG_CACHE_HOME", Path.home() / ".cache")) / "mgff_tutorial"
    return Path(os.environ.get("MGFF_CACHE", default))


def sketchbirds_dir():
    """The checkout's ``data/sketchbirds`` if there is one, else its place in the cache (may not
    exist yet).
    """
    checkout = PACKAGE.parent / "data" / "sketchbirds"
    return checkout if (checkout / "images.txt").is_file() else cache_dir() / "sketchbirds"


def checkpoints_dir():
    """The folder of the small embedded checkpoints: in the checkout, else inside the installed
    package.
    """
    return _embedded("checkpoints")


def results_dir():
    """The folder of the stored results: in the checkout, else inside the installed package."""
    return _embedded("results")


def _embedded(name):
    checkout = PACKAGE.parent / "data" / name
    return checkout if checkout.is_dir() else PACKAGE / "_data" / name
