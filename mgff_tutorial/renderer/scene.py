"""Draw a bird of SketchBirds in a scene, with everything known about it.

``render(species, seed)`` depends on nothing but its arguments. The scene is described in fractions
of the picture's side, so the same seed gives the same scene at every ``size``; the species changes
nothing but the bird, so the same seed shows two species in the same place and pose. Controlled
part-based pictures after FunnyBirds (Hesse et al., ICCV 2023), drawn here with Pillow alone.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from ..support.errors import InputError, check_name, check_number
from . import backgrounds, things
from .bird import POSES, BirdOutline, draw_pose
from .drawing import Canvas, turn
from .plumage import paint_bird, tinted
from .species import SPECIES, Species, find_species

VERSION = (
    1  # goes up when a picture changes: models and caches belong to one version of the drawing
)


@dataclass
class Scene:
    """A drawn bird and what is known about it.

    Attributes:
        image: PIL RGB image, size x size.
        box: (x0, y0, x1, y1) pixels, tight around the visible bird; x1 and y1 lie just beyond the
            last pixel.
        parts: name -> (x, y, visible), pixels; the names are ``species.PART_NAMES``. A part hidden
            by a leaf, by the bird itself or outside the picture has visible = False.
        part_map: (size, size) uint8, 0 = background, else the index in ``PART_CLASSES`` of what the
            pixel shows.
        species: the ``Species``.
        details: what was drawn at random: scale, camouflage, background, pose, flip, rotation
            (degrees), occluders.
    """

    image: Image.Image
    box: tuple[float, float, float, float]
    parts: dict[str, tuple[float, float, bool]]
    part_map: np.ndarray
    species: Species
    details: dict[str, Any]


def render(
    species: int | str | Species,
    seed: int,
    size: int = 256,
    scale: float | None = None,
    camouflage: float | None = None,
    part_scale: float | None = None,
    background: str | None = None,
    pose: str | None = None,
    flip: bool | None = None,
    rotation: float | None = None,
    centre: tuple[float, float] | None = None,
    occluders: int | None = None,
) -> Scene:
    """One picture of a bird. An option that is None is drawn at random from the seed, all others
    left as they were.

    Args:
        species: label 0 to 19, a name of ``SPECIES``, or a ``Species`` (``pretraining_species``
            makes others).
        seed: whole number, 0 to 2**63 - 1.
        size: side of the picture in pixels, 16 to 2048.
        scale: longer side of the bird (beak, tail and legs included; measured with a plain crown
            and a beak and tail of natural size, so that codes and ``part_scale`` leave the body as
            it is) as a fraction of the picture's side, 0.05 to 1; at random 0.25 to 0.8.
        camouflage: 0 (a place of its own colours) to 1 (place and decoys in the bird's colours).
        part_scale: size of the six coding parts, times the natural one, 0.25 to 3; never random, 1
            by default.
        background: "foliage", "branches", "sky", "water", "reeds" or "rocks".
        pose: "perched", "upright", "leaning", "head up", "head down" or "pecking".
        flip: True: the bird faces left.
        rotation: degrees counter-clockwise, -180 to 180; at random within 25 to either side.
        centre: (x, y) of the middle of the bird as fractions of the side, 0 to 1; at random so that
            it fits in.
        occluders: how many twigs, leaves or tufts of grass hang in front, 0 to 8; at random 0 to 3.

    Returns:
        ``Scene``.

    Raises:
        InputError: a value outside these ranges or of another type.
    """
    species = find_species(species)
    seed = int(check_number("seed", seed, 0, 2**63 - 1, whole=True))
    size = int(check_number("size", size, 16, 2048, whole=True))
    rng = np.random.default_rng([7, seed])
    drawn = {
        "scale": rng.uniform(0.25, 0.8),
        "camouflage": rng.beta(0.8, 1.4),
        "background": list(backgrounds.BACKGROUNDS)[rng.integers(6)],
        "flip": bool(rng.random() < 0.5),
        "rotation": float(np.clip(rng.normal(0, 11), -25, 25)),
        "centre": rng.random(2),
        "occluders": int(rng.choice(4, p=[0.35, 0.3, 0.2, 0.15])),
    }
    scale = drawn["scale"] if scale is None else float(check_number("scale", scale, 0.05, 1))
    camouflage = (
        drawn["camouflage"]
        if camouflage is None
        else float(check_number("camouflage", camouflage, 0, 1))
    )
    part_scale = (
        1.0 if part_scale is None else float(check_number("part_scale", part_scale, 0.25, 3))
    )
    rotation = (
        drawn["rotation"]
        if rotation is None
        else float(check_number("rotation", rotation, -180, 180))
    )
    occluders = (
        drawn["occluders"]
        if occluders is None
        else int(check_number("occluders", occluders, 0, 8, whole=True))
    )
    background = drawn["background"] if background is None else background
    check_name("background", background, backgrounds.BACKGROUNDS)
    if pose is not None:
        check_name("pose", pose, POSES)
    flip = drawn["flip"] if flip is None else flip
    if not isinstance(flip, (bool, np.bool_)):
        raise InputError(f"flip must be True or False, not {flip!r}.")

    bird = BirdOutline(species, draw_pose(np.random.default_rng([1, seed]), pose), part_scale)
    middle = _place(bird, scale, rotation, flip, centre, drawn["centre"])
    palette = tinted(species.genus.palette, np.random.default_rng([2, seed]))

    oversample = 3 if size <= 128 else 2
    behind = backgrounds.far(background, palette, camouflage, np.random.default_rng([3, seed]))
    image = behind.resize((size * oversample,) * 2, Image.Resampling.BICUBIC)
    canvas = Canvas(image, Image.new("L", (size, size)), size, oversample)
    scenery = np.random.default_rng([4, seed])
    backgrounds.near(canvas, background, palette, camouflage, scenery)
    things.decoys(canvas, palette, camouflage, scenery, scale * 0.6)
    things.perch(canvas, background, bird, np.random.default_rng([5, seed]))
    canvas.part_map.paste(0, (0, 0, size, size))
    paint_bird(canvas, bird, palette, np.random.default_rng([6, seed]))
    things.occluders(
        canvas,
        backgrounds.BACKGROUNDS[background][2],
        occluders,
        middle,
        np.array([scale, scale]) * 0.8,
        np.random.default_rng([8, seed]),
    )
    image = backgrounds.light(image.reduce(oversample), np.random.default_rng([9, seed]))

    part_map = np.array(canvas.part_map)
    details = {
        "scale": scale,
        "camouflage": camouflage,
        "part_scale": part_scale,
        "background": background,
        "pose": bird.pose.name,
        "flip": bool(flip),
        "rotation": rotation,
        "occluders": occluders,
        "centre": tuple(float(v) for v in middle),
        "unit": bird.unit * size,
    }
    return Scene(
        image, _box(part_map, bird, size), _parts(part_map, bird, size), part_map, species, details
    )


def _place(bird, scale, rotation, flip, centre, chance):
    """Give the outline its place in the picture; returns the middle of its box (fractions of the
    side).
    """
    matrix = turn(rotation) @ np.diag([-1.0 if flip else 1.0, 1.0])
    extent = bird.extent() @ matrix.T
    low, high = extent.min(0), extent.max(0)
    zoom = scale / float((high - low).max())
    half = (high - low) * zoom / 2
    if centre is None:
        room = np.maximum(0.5 - half - 0.03, 0)
        middle = 0.5 + (2 * chance - 1) * room
    else:
        try:
            x, y = centre
        except (TypeError, ValueError):
            raise InputError(
                f"centre must be a pair (x, y) of fractions from 0 to 1, not {centre!r}."
            ) from None
        middle = np.array(
            [float(check_number("centre", x, 0, 1)), float(check_number("centre", y, 0, 1))]
        )
    bird.matrix = matrix * zoom
    bird.shift = middle - (low + high) / 2 * zoom
    return middle


def _box(part_map, bird, size):
    rows, columns = np.flatnonzero(part_map.any(1)), np.flatnonzero(part_map.any(0))
    if len(rows):
        return float(columns[0]), float(rows[0]), float(columns[-1] + 1), float(rows[-1] + 1)
    points = np.clip(bird.place(bird.extent()), 0, 1) * size  # wholly hidden: where it would be
    return (*(float(v) for v in points.min(0)), *(float(v) for v in points.max(0)))


def _parts(part_map, bird, size):
    parts = {}
    for name, (point, classes) in bird.points().items():
        x, y = (float(v) for v in point * size)
        inside = 0 <= x < size and 0 <= y < size
        parts[name] = (x, y, bool(inside and int(part_map[int(y), int(x)]) in classes))
    return parts


def contact_sheet(species=SPECIES, columns=4, size=256, seed=0, same_scene=False, **options):
    """All species on one picture with their names, by default one genus a row.

    Args:
        species: what to draw (labels, names or `Species`).
        columns: pictures in a row.
        size: side of each in pixels.
        seed: of the first picture; the next ones count up, or keep it with ``same_scene``.
        options: passed to ``render``.

    Returns:
        PIL RGB image.
    """
    label = max(12, size // 14)
    rows = -(-len(species) // columns)
    sheet = Image.new("RGB", (columns * size, rows * (size + label + 6)), "white")
    draw = ImageDraw.Draw(sheet)
    font = ImageFont.load_default(size=label - 2)
    for number, one in enumerate(species):
        scene = render(one, seed if same_scene else seed + number, size=size, **options)
        x, y = number % columns * size, number // columns * (size + label + 6)
        sheet.paste(scene.image, (x, y))
        draw.text((x + 4, y + size + 1), scene.species.name, fill=(30, 30, 30), font=font)
    return sheet
