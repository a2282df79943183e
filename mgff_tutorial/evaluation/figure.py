"""What both stages saw of one image, as a picture: image with box, response, crop,
probabilities.
"""

import hashlib
import os
from pathlib import Path

import numpy as np
from PIL import Image

from ..support.errors import InputError
from ..support.files import atomic_file
from ..support.images import full_scale

MAKER = "mgff_tutorial predict"  # noted in each figure, by which it is known again


def save_figure(folder, name, image, record, result=None, position=0):
    """Write a PNG of one prediction, atomically.

    Args:
        folder: where to; the file is ``<name>.png`` there, with the image's own sub-folders.
        name: of the image.
        image: upright PIL image.
        record: from `Predictor`.
        result: the `TwoStageResult` that the record comes from; None in one stage.
        position: of the image in ``result``.

    Raises:
        InputError: a file of that name is there, and not a figure of this command.
    """
    path = Path(folder) / f"{_short(name)}.png"
    _refuse_another(path)
    from matplotlib.figure import Figure

    two = result is not None
    figure = Figure(
        figsize=(12.5, 3.3) if two else (6.5, 3.3), layout="constrained", facecolor="white"
    )
    axes = figure.subplots(1, 4 if two else 2, width_ratios=[1] * (4 if two else 2))
    axes[0].imshow(image)
    axes[0].set_title("image")
    if two:
        _draw_stages(axes, image, record, result.response[position, 0].float().cpu().numpy())
    for ax in axes[:-1]:
        ax.set(xticks=[], yticks=[])
        ax.spines[:].set_visible(False)
    _draw_probabilities(axes[-1], record)
    with atomic_file(path) as stream:
        figure.savefig(stream, format="png", dpi=90, metadata={"Software": MAKER})


def _refuse_another(path):
    """Raise unless ``path`` is free, or holds a figure that `save_figure` drew."""
    if not path.exists():
        return
    try:
        with Image.open(path) as picture:
            ours = picture.info.get("Software") == MAKER
    except (OSError, ValueError):
        ours = False
    if not ours:
        raise InputError(
            f"{path} is there and not a figure of this command; choose another folder."
        )


def _short(name):
    """``folder/image`` with an image name that has room for what is added to it (file systems take
    255 bytes).
    """
    folder, slash, image = name.rpartition("/")
    raw = os.fsencode(image)
    if len(raw) <= 200:
        return name
    return f"{folder}{slash}{image[:40]}-{hashlib.blake2b(raw, digest_size=8).hexdigest()}"


def _draw_stages(axes, image, record, response):
    from matplotlib.patches import Rectangle

    # the box is one of the whole picture, not of what is drawn
    x0, y0, x1, y1 = np.divide(record["box"], 2 * full_scale(image))
    axes[0].set_title("image, no object found" if record["whole_image"] else "image and box")
    axes[0].add_patch(
        Rectangle((x0 - 0.5, y0 - 0.5), x1 - x0, y1 - y0, fill=False, color="#e08a2b", linewidth=2)
    )
    axes[1].imshow(image)
    axes[1].imshow(
        np.nan_to_num(response),
        cmap="magma",
        alpha=0.65,
        extent=(-0.5, image.width - 0.5, image.height - 0.5, -0.5),
    )
    axes[1].set_title("response map")
    axes[2].imshow(
        image.crop(
            (
                int(x0),
                int(y0),
                max(int(np.ceil(x1)), int(x0) + 1),
                max(int(np.ceil(y1)), int(y0) + 1),
            )
        )
    )
    axes[2].set_title("what stage 2 sees")


def _draw_probabilities(ax, record):
    from ..datasets import readable_name

    ax.barh(range(len(record["top"])), [value for _, value in record["top"]], color="#3b6fb6")
    for row, (name, value) in enumerate(record["top"]):
        ax.text(
            0.02,
            row,
            f"{readable_name(name)}: {value:.0%}",
            va="center",
            fontsize=9,
            bbox={"facecolor": "white", "alpha": 0.75, "linewidth": 0, "pad": 1},
        )
    ax.set_yticks([])
    ax.invert_yaxis()
    ax.set(
        xlim=(0, 1),
        xlabel="probability",
        title="merged prediction" if "box" in record else "prediction",
    )
    ax.spines[["top", "right"]].set_visible(False)
