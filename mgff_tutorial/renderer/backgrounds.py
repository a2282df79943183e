"""What surrounds the bird: six kinds of place, decoys that resemble birds, the perch, and what
hangs in front.
"""

import numpy as np
from PIL import Image, ImageFilter

from .drawing import Canvas, direction, ellipse, mix, ribbon, shade, spline

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


def plumage_colours(palette):
    """The bird's own colours, which camouflage lends to its surroundings."""
    return [
        palette.back,
        palette.belly,
        palette.breast,
        palette.head,
        palette.wing,
        palette.crown,
        palette.mark,
    ]


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


def leaf(canvas, base, angle, length, colour, width=0.38):
    """A leaf with its midrib, from ``base`` along ``angle`` (degrees)."""
    along = direction(angle)
    across = np.array([-along[1], along[0]])
    u = np.array([0, 0.18, 0.42, 0.72, 1.0])
    half = np.array([0, 0.34, 0.5, 0.32, 0.0]) * width * length
    middle = base + u[:, None] * length * along
    edge = np.concatenate(
        [middle + half[:, None] * across, (middle - half[:, None] * across)[-2:0:-1]]
    )
    canvas.polygon(spline(edge, samples=3), colour, 0)
    canvas.stroke([base, base + 0.9 * length * along], shade(colour, 0.78), 0.05 * length)


def _grass(canvas, foot, height, lean, width, colour, part=None):
    t = np.linspace(0, 1, 7)
    middle = np.stack([foot[0] + lean * t**2, foot[1] - height * t], axis=1)
    canvas.polygon(ribbon(middle, width * (1 - 0.9 * t)), colour, part)


def _twig(canvas, start, end, width, colour, rng, part=None, leaves=0, leaf_colour=None):
    t = np.linspace(0, 1, 5)[:, None]
    length = np.linalg.norm(end - start)
    bend = rng.normal(0, 0.05, (5, 2)) * length * np.sin(np.pi * t)
    middle = spline(start + (end - start) * t + bend, closed=False, samples=4)
    canvas.polygon(ribbon(middle, np.linspace(width, 0.45 * width, len(middle))), colour, part)
    canvas.stroke(middle + (0, -0.22 * width), shade(colour, 1.22), 0.25 * width)
    for _ in range(leaves):
        leaf(
            canvas,
            middle[rng.integers(len(middle))],
            rng.uniform(0, 360),
            rng.uniform(0.05, 0.11),
            leaf_colour,
        )


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
            _twig(
                canvas,
                rng.uniform(-0.1, 1.1, 2),
                rng.uniform(-0.1, 1.1, 2),
                rng.uniform(0.01, 0.03),
                shade((104, 84, 62), rng.uniform(0.8, 1.2)),
                rng,
            )
        for _ in range(count * 3):
            leaf(canvas, rng.uniform(0, 1, 2), rng.uniform(0, 360), rng.uniform(0.06, 0.18), pick())
    elif kind == "branches":
        for _ in range(count):
            _twig(
                canvas,
                rng.uniform(-0.2, 1.2, 2),
                rng.uniform(-0.2, 1.2, 2),
                rng.uniform(0.008, 0.045),
                pick(),
                rng,
                leaves=int(rng.integers(0, 4)),
                leaf_colour=pick(),
            )
    elif kind == "sky":
        for _ in range(count // 3):
            _twig(
                canvas,
                rng.uniform(-0.1, 1.1, 2),
                rng.uniform(-0.2, 1.2, 2),
                rng.uniform(0.008, 0.02),
                pick(),
                rng,
                leaves=4,
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
            _grass(
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
            _grass(canvas, (x, 1.05), height, lean, rng.uniform(0.008, 0.024), colour)
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


def _pod(canvas, centre, angle, length, pick, rng):
    """A seed pod about as long as a bird: an oval with a point at one end, sometimes a knob, scales
    or dots.
    """
    along = direction(angle)
    frame = np.stack([along, [-along[1], along[0]]]) * length
    at = lambda points: centre + np.asarray(points) @ frame  # noqa: E731
    colour = pick()
    dark = shade(colour, 0.5)
    leaf(canvas, centre - 0.8 * length * along, angle, 0.6 * length, shade(colour, 0.75), 0.35)
    if rng.random() < 0.6:
        knob = pick()
        middle, radius = (
            np.array([rng.uniform(0.30, 0.44), rng.uniform(-0.12, 0.0)]),
            rng.uniform(0.11, 0.16),
        )
        canvas.polygon(at(ellipse(middle, radius + 0.008, samples=18)), dark)
        canvas.polygon(at(ellipse(middle, radius, samples=18)), knob)
        canvas.polygon(at(ellipse(middle - 0.02, 0.6 * radius, samples=14)), shade(knob, 1.12))
    height = rng.uniform(0.16, 0.23)
    for grow, tone in ((1.04, 0.5), (1.0, 0.82), (0.86, 0.94), (0.66, 1.05)):
        canvas.polygon(
            at(
                ellipse(
                    (0.02 * (1 - grow), 0.25 * (grow - 1) * height), 0.42 * grow, height * grow, 20
                )
            ),
            shade(colour, tone),
        )
    what = rng.random()
    if what < 0.35:  # scales, as on a cone
        for x in np.linspace(-0.24, 0.22, 4):
            scale = at([(x, -0.75 * height), (x + 0.05, 0), (x, 0.75 * height)])
            canvas.stroke(scale, shade(colour, 0.68), 0.014 * length)
    elif what < 0.6:
        spots = pick()
        for x, y in rng.uniform((-0.25, -0.5), (0.25, 0.5), (6, 2)):
            canvas.polygon(at(ellipse((x, y * height), 0.026, samples=8)), spots)
    elif what < 0.8:  # a band
        x = rng.uniform(-0.15, 0.15)
        edge = 0.92 * height
        canvas.polygon(
            at(
                [
                    (x - 0.03, -edge),
                    (x + 0.03, -edge),
                    (x + 0.06, 0),
                    (x + 0.03, edge),
                    (x - 0.03, edge),
                    (x, 0),
                ]
            ),
            pick(),
        )


def decoys(canvas, palette, camouflage, rng, unit):
    """Things that resemble a bird or its parts: seed pods, flowers, berries, some in the bird's own
    colours.
    """
    own = plumage_colours(palette)
    natural = [
        (206, 90, 70),
        (232, 196, 92),
        (198, 120, 176),
        (238, 232, 214),
        (134, 96, 66),
        (92, 120, 164),
    ]

    def pick():
        lent = rng.random() < 0.15 + 0.75 * camouflage
        colours = own if lent else natural
        return shade(colours[rng.integers(len(colours))], rng.uniform(0.85, 1.15))

    for _ in range(int(rng.integers(1, 4)) + int(round(3 * camouflage))):
        _pod(
            canvas,
            rng.uniform(0.03, 0.97, 2),
            rng.uniform(0, 360),
            rng.uniform(0.35, 0.85) * unit,
            pick,
            rng,
        )
    for _ in range(int(rng.integers(0, 4))):  # a cluster of berries
        centre, colour, radius = rng.uniform(0, 1, 2), pick(), rng.uniform(0.05, 0.10) * unit
        for offset in rng.normal(0, 1.4, (int(rng.integers(2, 6)), 2)):
            spot = centre + offset * radius
            canvas.polygon(ellipse(spot, radius, samples=14), shade(colour, 0.8))
            canvas.polygon(ellipse(spot - 0.2 * radius, 0.65 * radius, samples=12), colour)
            canvas.polygon(ellipse(spot - 0.35 * radius, 0.2 * radius, samples=8), (250, 248, 240))
    for _ in range(int(rng.integers(0, 3))):  # a flower
        centre, colour, length = rng.uniform(0, 1, 2), pick(), rng.uniform(0.12, 0.25) * unit
        turn = rng.uniform(0, 72)
        for petal in range(5):
            leaf(canvas, centre, turn + 72 * petal, length, colour, 0.6)
        canvas.polygon(ellipse(centre, 0.25 * length, samples=12), (226, 180, 70))


def perch(canvas, kind, bird, rng):
    """The branch, stone or post under the feet, drawn before the bird; it runs along the bird's own
    ground line.
    """
    unit = float(np.sqrt(abs(np.linalg.det(bird.matrix))))
    feet = np.mean([leg[-1] for leg in bird.legs], axis=0)
    x = np.array([-12, -3, -0.8, 0.0, 0.9, 3, 12.0])
    width = rng.uniform(0.09, 0.17)
    y = np.concatenate([rng.normal(0, (1.2, 0.22)), [0.01, 0, 0.01], rng.normal(0, (0.22, 1.2))])
    middle = spline(
        np.stack([feet[0] + x, feet[1] + 0.5 * width + y], axis=1), closed=False, samples=5
    )
    colour = shade((120, 96, 72), rng.uniform(0.75, 1.25))
    if kind == "rocks":
        colour = shade((142, 136, 126), rng.uniform(0.8, 1.15))
        top = np.array(
            [
                (-3.2, 8),
                (-2.0, 2.5),
                (-1.25, 0.75),
                (-0.78, 0.14),
                (-0.4, 0.015),
                (0, 0.0),
                (0.45, 0.015),
                (0.8, 0.13),
                (1.25, 0.7),
                (1.9, 2.5),
                (3.2, 8),
            ]
        )
        top = top * (rng.uniform(0.9, 1.2), 1) + rng.normal(0, 0.02, (11, 2)) * (1, 0)
        stone = feet + spline(top, closed=False, samples=5)
        canvas.polygon(bird.place(stone), shade(colour, 0.70))
        canvas.polygon(
            bird.place(feet + (stone - feet) * (0.94, 0.97) + (0.03, 0.02)), shade(colour, 0.84)
        )
        ledge = [
            (-0.66, 0.10),
            (0, 0.02),
            (0.66, 0.10),
            (0.95, 0.5),
            (0.3, 0.42),
            (-0.35, 0.62),
            (-0.9, 0.45),
        ]
        canvas.polygon(bird.place(feet + spline(ledge, samples=4)), colour)
        for x, y in rng.uniform((-0.8, 0.15), (0.8, 1.6), (16, 2)):
            radius = rng.uniform(0.008, 0.035)
            speck = feet + ellipse((x, y), radius, 0.6 * radius, 8)
            canvas.polygon(bird.place(speck), shade(colour, rng.uniform(0.7, 1.05)))
        return
    if kind == "water":  # a weathered post
        colour = shade((132, 118, 100), rng.uniform(0.75, 1.15))
        half = rng.uniform(0.24, 0.34)
        left, right = feet + (-half, 0.02), feet + (half, 0.02)
        down = np.array([rng.normal(0, 0.3), 12.0])
        canvas.polygon(bird.place([left, right, right + down, left + down]), shade(colour, 0.72))
        canvas.polygon(
            bird.place(
                [
                    left + (0.2 * half, 0),
                    right - (0.7 * half, 0),
                    right - (0.7 * half, 0) + down,
                    left + (0.2 * half, 0) + down,
                ]
            ),
            shade(colour, 0.88),
        )
        for x in rng.uniform(-0.9, 0.9, 5):
            start = feet + (x * half, rng.uniform(0.08, 0.5))
            crack = [start, start + down * rng.uniform(0.03, 0.12)]
            canvas.stroke(bird.place(crack), shade(colour, 0.55), 0.012 * unit)
        canvas.polygon(bird.place(ellipse(feet + (0, 0.03), half, 0.055, 20)), shade(colour, 1.12))
        canvas.stroke(
            bird.place(ellipse(feet + (0, 0.03), 0.55 * half, 0.026, 16)),
            shade(colour, 0.9),
            0.008 * unit,
        )
        return
    edge = ribbon(middle, width * np.linspace(1.25, 0.7, len(middle)))
    canvas.polygon(bird.place(edge), shade(colour, 0.72))
    canvas.polygon(bird.place(ribbon(middle - (0, 0.14 * width), 0.66 * width)), colour)
    for start in rng.uniform(-2.2, 2.0, 14):  # bark
        line = np.array([(feet[0] + start, feet[1] + rng.uniform(0.1, 0.9) * width)])
        line = np.concatenate([line, line + (rng.uniform(0.06, 0.2), 0.005)])
        canvas.stroke(bird.place(line), shade(colour, 0.62), 0.010 * unit)


def occluders(canvas, kind, count, centre, extent, rng):
    """Twigs, leaves and grass blades in front of the bird; they set the part map to background."""
    colours = BACKGROUNDS[kind][2]
    for _ in range(count):
        colour = shade(colours[rng.integers(len(colours))], rng.uniform(0.65, 1.1))
        aim = centre + rng.uniform(-0.5, 0.5, 2) * extent
        what = rng.random()
        if what < 0.4:
            angle, reach = rng.uniform(0, 180), rng.uniform(0.25, 0.7)
            start, end = aim - reach * direction(angle), aim + reach * direction(angle)
            _twig(
                canvas,
                start,
                end,
                rng.uniform(0.008, 0.018),
                shade((110, 90, 66), rng.uniform(0.7, 1.2)),
                rng,
                part=0,
                leaves=int(rng.integers(1, 4)),
                leaf_colour=colour,
            )
        elif what < 0.7:
            leaf(
                canvas,
                aim,
                rng.uniform(0, 360),
                rng.uniform(0.16, 0.34) * float(np.max(extent)),
                colour,
            )
        else:
            for _ in range(3):
                foot = np.array([aim[0] + rng.normal(0, 0.06), 1.05])
                height = rng.uniform(0.3, 1.1) * (1.1 - aim[1]) + 0.1
                _grass(
                    canvas, foot, height, rng.normal(0, 0.10), rng.uniform(0.008, 0.016), colour, 0
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
