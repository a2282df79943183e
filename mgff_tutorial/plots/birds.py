"""Figures of drawn birds: a contact sheet, two species side by side, and a scene with everything
known about it.
"""

import matplotlib.pyplot as plt
import numpy as np

from ..renderer import render
from ..renderer.species import PART_CLASSES, PART_CODES, SPECIES, find_species
from ..support.errors import InputError
from .style import BLUE, GREY, ORANGE, panels, show_image

_GROUPS = ["body", "head", "leg", *PART_CODES]
_COLOURS = dict(
    zip(
        _GROUPS,
        [
            "#c9b79c",
            "#a58f73",
            "#7d6b58",
            "#d1495b",
            "#8461b5",
            "#f2c14e",
            "#3b6fb6",
            "#4c9a5f",
            "#e08a2b",
        ],
    )
)


def _show_picture(ax, scene, title, box=None):
    show_image(ax, scene.image, title, box=box)
    ax.images[-1].set_interpolation("antialiased")  # thin outlines suffer when pixels are dropped


def draw_contact_sheet(species=SPECIES, columns=5, seed=0, size=256, same_scene=False, **options):
    """A grid of drawn birds with their names.

    Args:
        species: labels, names or ``Species``.
        columns: pictures in a row.
        seed: of the first picture; the next ones count up unless ``same_scene``.
        size: side of each picture in pixels.
        options: passed to ``render``, such as ``scale=0.75``.

    Returns:
        the matplotlib figure.
    """
    figure, axes = panels(len(species), columns, size=(2.3, 2.45))
    for number, (ax, one) in enumerate(zip(axes, species)):
        scene = render(one, seed if same_scene else seed + number, size=size, **options)
        _show_picture(ax, scene, scene.species.name)
        ax.title.set_fontsize(8)
    return figure


def draw_species_pair(a, b, seed=0, size=384, circle=True, **options):
    """Two species of a genus in the same scene, the parts that differ circled.

    Args:
        a, b: labels, names or ``Species`` of one genus.
        seed: place, light and pose, the same for both.
        circle: draw the circles; without them it is a riddle.
        options: passed to ``render``; by default the bird is large, upright and unhidden.

    Returns:
        the matplotlib figure.

    Raises:
        InputError: the species are not of one genus, or the same.
    """
    a, b = find_species(a), find_species(b)
    if a.genus != b.genus or a.codes == b.codes:
        raise InputError(f"A pair is two species of one genus, not {a.name!r} and {b.name!r}.")
    options = {
        "scale": 0.8,
        "occluders": 0,
        "camouflage": 0.15,
        "pose": "perched",
        "rotation": 0,
        **options,
    }
    parts = a.differs_from(b)
    figure, axes = panels(2, size=(4.2, 4.5 if circle else 4.3))
    for ax, one in zip(axes, (a, b)):
        scene = render(one, seed, size=size, **options)
        _show_picture(ax, scene, one.name)
        for part in parts if circle else ():
            x, y, radius = _circle_around(scene, part)
            ax.add_patch(plt.Circle((x, y), radius, fill=False, edgecolor="white", linewidth=4.5))
            ax.add_patch(plt.Circle((x, y), radius, fill=False, edgecolor=ORANGE, linewidth=2.5))
        if circle:
            ax.set_xlabel(", ".join(f"{part}: {one.code(part)}" for part in parts))
    return figure


def _circle_around(scene, part):
    """Centre and radius (pixels) of a circle around a part, from the part map; from its point if it
    is hidden.
    """
    rows, columns = np.nonzero(
        scene.part_map == PART_CLASSES.index(f"{part}:{scene.species.code(part)}")
    )
    least = 0.05 * scene.image.width
    if not len(rows):
        x, y, _ = scene.parts[part]
        return x, y, least
    x, y = (columns.min() + columns.max()) / 2, (rows.min() + rows.max()) / 2
    return x, y, max(1.12 * np.hypot(columns - x, rows - y).max(), least)


def draw_scene(scene, names=True):
    """Image with box and part points beside the part map, whose colours are named below.

    Args:
        scene: what ``render`` returned.
        names: write the names of the visible parts.

    Returns:
        the matplotlib figure.
    """
    figure, (left, right) = panels(2, size=(4.4, 4.4))
    _show_picture(left, scene, scene.species.name, box=scene.box)
    side = scene.image.width
    faces_right = scene.parts["beak"][0] > scene.parts["tail"][0]
    for name, (x, y, visible) in scene.parts.items():
        if not (0 <= x < side and 0 <= y < side):
            continue
        left.plot(
            x,
            y,
            "o",
            markersize=6,
            markerfacecolor=BLUE if visible else "none",
            markeredgecolor="white" if visible else GREY,
        )
        if (
            names and visible
        ):  # labels of the rear end point backwards, so that those of the head have room
            to_right = faces_right != (name in ("nape", "back", "tail", "belly"))
            to_right = x < 0.15 * side or (to_right and x < 0.85 * side)
            left.annotate(
                name,
                (x, y),
                (6 if to_right else -6, -3),
                textcoords="offset points",
                fontsize=8,
                ha="left" if to_right else "right",
                bbox={
                    "boxstyle": "round,pad=0.15",
                    "facecolor": "white",
                    "alpha": 0.8,
                    "linewidth": 0,
                },
            )
    groups = [name.split(":")[0] for name in PART_CLASSES]
    table = np.array(
        [(1, 1, 1)] + [plt.matplotlib.colors.to_rgb(_COLOURS[group]) for group in groups[1:]]
    )
    show_image(right, table[scene.part_map], "part map")
    shown = [PART_CLASSES[value] for value in np.unique(scene.part_map) if value]
    handles = [
        plt.matplotlib.patches.Patch(color=_COLOURS[name.split(":")[0]], label=name)
        for name in shown
    ]
    figure.legend(handles=handles, loc="outside lower center", ncols=5, frameon=False, fontsize=8)
    for spine in right.spines.values():
        spine.set_visible(True)
        spine.set_color(GREY)
    return figure
