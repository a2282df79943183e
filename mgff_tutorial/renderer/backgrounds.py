"""Six kinds of place around the bird, from the blurred distance to the sharp things behind it, and
the light on all of it.
"""

import numpy as np
from PIL import Image, ImageFilter

from .drawing import Canvas, ellipse, mix, shade, spline
from .things import grass, leaf, plumage_colours, twig

BACKGROUNDS = {  # name: (upper colour, lower colour, colours of the near things)
    "foliage": (
        (150, 178, 118),
        (74, 108, 62),
        [(86, 128, 66), (118, 152, 78), (64, 100, 60), (150, 160, 84)],
    ),
    "branches": (
        (196, 200, 190),
        (134, 130, 112),
        [(112, 92, 70), (90, 76, 60), (140, 120, 92), (120, 130, 84)],
    ),
    "sky": (
        (150, 190, 226),
        (222, 230, 232),
        [(96, 128, 74), (124, 110, 84), (146, 160, 92), (236, 240, 244)],
    ),
    "water": (
        (150, 184, 190),
        (84, 124, 140),
        [(120, 134, 84), (150, 140, 96), (96, 120, 122), (190, 206, 206)],
    ),
    "reeds": (
        (214, 206, 170),
        (140, 128, 78),
        [(176, 158, 92), (144, 138, 74), (196, 178, 118), (116, 112, 62)],
    ),
    "rocks": (
        (206, 202, 194),
        (140, 132, 122),
        [(150, 142, 132), (124, 118, 112), (172, 162, 146), (110, 120, 84)],
    ),
}


def _towards(colour, own, camouflage, rng):
    """A colour of the place, moved towards one of the bird's by as much as the camouflage says."""
    return mix(colour, own[rng.integers(len(own))], camouflage * rng.uniform(0.45, 1.0))


def far(kind, palette, camouflage, rng):
    """The blurred distance, 64 x 64 RGB whatever the size of the picture."""
    upper, lower, near = BACKGROUNDS[kind]
    own = plumage_colours(palette)
    tint = 1 + rng.normal(0, 0.07, 3)
    light = rng.uniform(0.78, 1.12)
    upper, lower = (
        _towards(upper, own, camouflage * 0.8, rng),
        _towards(lower, own, camouflage * 0.8, rng),
    )
    rows = np.linspace(0, 1, 64)[:, None, None]
    array = (np.array(upper) * (1 - rows) + np.array(lower) * rows) * tint * light
    picture = Image.fromarray(np.broadcast_to(array, (64, 64, 3)).clip(0, 255).astype(np.uint8))
    canvas = Canvas(picture, None, 64, 1)
    for _ in range(18):
        colour = _towards(near[rng.integers(len(near))], own, camouflage, rng)
        radius = rng.uniform(0.04, 0.17)
        stretch = rng.uniform(0.5, 1.8) if kind != "water" else rng.uniform(2, 4)
        spot = ellipse(rng.uniform(0, 1, 2), radius * stretch, radius, 14)
        canvas.polygon(spot, mix(colour, upper, rng.uniform(0.2, 0.7)))
    return picture.filter(ImageFilter.GaussianBlur(2.2))


def near(canvas, kind, palette, camouflage, rng):
    """Sharp things behind the bird: leaves, branches, reeds, ripples, stones."""
    colours, own = BACKGROUNDS[kind][2], plumage_colours(palette)
    pick = lambda: shade(
        _towards(colours[rng.integers(len(colours))], own, camouflage, rng),  # noqa: E731
        rng.uniform(0.85, 1.15),
    )
    count = int(rng.integers(5, 11))
    if kind == "foliage":
        for _ in range(2):
            twig(
                canvas,
                rng.uniform(-0.1, 1.1, 2),
                rng.uniform(-0.1, 1.1, 2),
                rng.uniform(0.01, 0.03),
                shade((104, 84, 62), rng.uniform(0.8, 1.2)),
                rng,
            )
        for _ in range(count * 3):
            leaf(canvas, rng.uniform(0, 1, 2), rng.uniform(0, 360), rng.uniform(0.06, 0.18), pick())
    elif kind in ("branches", "sky"):
        sky = kind == "sky"
        for _ in range(count // 3 if sky else count):
            twig(
                canvas,
                rng.uniform(-0.1, 1.1, 2) if sky else rng.uniform(-0.2, 1.2, 2),
                rng.uniform(-0.2, 1.2, 2),
                rng.uniform(0.008, 0.02 if sky else 0.045),
                pick(),
                rng,
                leaves=4 if sky else int(rng.integers(0, 4)),
                leaf_colour=pick(),
            )
    elif kind == "water":
        for _ in range(count * 3):
            x, y, half = rng.uniform(0, 1), rng.uniform(0.1, 1), rng.uniform(0.03, 0.14)
            canvas.polygon(
                spline([(x - half, y), (x, y - 0.006), (x + half, y), (x, y + 0.006)], samples=3),
                pick(),
            )
        for _ in range(count):
            x = rng.uniform(0, 1)
            grass(
                canvas,
                (x, rng.uniform(0.7, 1.1)),
                rng.uniform(0.2, 0.6),
                rng.normal(0, 0.1),
                0.014,
                pick(),
            )
    elif kind == "reeds":
        for _ in range(count * 3):
            x, height, lean = rng.uniform(-0.05, 1.05), rng.uniform(0.4, 1.0), rng.normal(0, 0.12)
            colour = pick()
            grass(canvas, (x, 1.05), height, lean, rng.uniform(0.008, 0.024), colour)
            if rng.random() < 0.3:
                spike = ellipse((x + lean, 1.05 - height), 0.014, 0.05, 12)
                canvas.polygon(spike, shade((120, 82, 52), rng.uniform(0.8, 1.2)))
    else:
        for _ in range(count + 3):
            centre, radius = rng.uniform(0, 1, 2) * (1, 0.6) + (0, 0.45), rng.uniform(0.06, 0.2)
            colour = pick()
            bumps = ellipse((0, 0), radius, radius * rng.uniform(0.5, 0.8), 9) * rng.uniform(
                0.8, 1.2, (9, 1)
            )
            canvas.polygon(spline(centre + bumps, samples=4), shade(colour, 0.72))
            canvas.polygon(spline(centre + bumps * 0.88 - (0, 0.10 * radius), samples=4), colour)
            canvas.polygon(
                spline(centre + bumps * 0.5 - (0, 0.22 * radius), samples=4), shade(colour, 1.10)
            )


def light(image, rng):
    """Light from one side and the soft shadows of leaves overhead, multiplied onto the finished
    picture.
    """
    size = image.size[0]
    angle, strength = rng.uniform(0, 2 * np.pi), rng.uniform(0.0, 0.22)
    dapple = rng.uniform(0, 0.32)
    grid = rng.uniform(-1, 1, (6, 6))
    step = np.linspace(-1, 1, 32)
    field = 1 + strength * (np.cos(angle) * step[None, :] + np.sin(angle) * step[:, None])
    shadow = Image.fromarray(grid.astype(np.float32)).resize((32, 32), Image.Resampling.BICUBIC)
    field = (field - dapple * np.clip(np.asarray(shadow), 0, 1)) * rng.uniform(0.92, 1.08)
    field = Image.fromarray(field.astype(np.float32)).resize((size, size), Image.Resampling.BICUBIC)
    lit = np.asarray(image, dtype=np.float32) * np.asarray(field)[..., None]
    return Image.fromarray(np.minimum(lit + 0.5, 255).astype(np.uint8))
