"""Two species of drawn birds side by side. `renderer.contact_sheet` shows all of them."""

import matplotlib.pyplot as plt
import numpy as np

from ..renderer import render
from ..renderer.species import PART_CLASSES, find_species
from ..support.errors import InputError
from .style import ORANGE, panels, show_image


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
        show_image(ax, scene.image, one.name, smooth=True)
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
