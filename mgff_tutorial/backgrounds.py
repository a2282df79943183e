"""What surrounds the bird: six kinds of place, decoys that resemble birds, the perch, and what hangs in front."""

import numpy as np
from PIL import Image, ImageFilter

from .drawing import Canvas, blank, direction, ellipse, mix, ribbon, shade, spline

BACKGROUNDS = {  # name: (upper colour, lower colour, colours of the near things)
    "foliage": ((150, 178, 118), (74, 108, 62), [(86, 128, 66), (118, 152, 78), (64, 100, 60), (150, 160, 84)]),
    "branches": ((196, 200, 190), (134, 130, 112), [(112, 92, 70), (90, 76, 60), (140, 120, 92), (120, 130, 84)]),
    "sky": ((150, 190, 226), (222, 230, 232), [(96, 128, 74), (124, 110, 84), (146, 160, 92), (236, 240, 244)]),
    "water": ((150, 184, 190), (84, 124, 140), [(120, 134, 84), (150, 140, 96), (96, 120, 122), (190, 206, 206)]),
    "reeds": ((214, 206, 170), (140, 128, 78), [(176, 158, 92), (144, 138, 74), (196, 178, 118), (116, 112, 62)]),
    "rocks": ((206, 202, 194), (140, 132, 122), [(150, 142, 132), (124, 118, 112), (172, 162, 146), (110, 120, 84)]),
}


def plumage_colours(palette):
    """The bird's own colours, which camouflage lends to its surroundings."""
    return [palette.back, palette.belly, palette.breast, palette.head, palette.wing, palette.crown, palette.mark]


def _towards(colour, own, camouflage, rng):
    """A colour of the place, moved towards one of the bird's by as much as the camouflage says."""
    return mix(colour, own[rng.integers(len(own))], camouflage * rng.uniform(0.45, 1.0))


def far(kind, palette, camouflage, rng):
    """The blurred distance, 64 x 64 RGB whatever the size of the picture."""
    upper, lower, near = BACKGROUNDS[kind]
    own = plumage_colours(palette)
    tint = 1 + rng.normal(0, 0.07, 3)
    light = rng.uniform(0.78, 1.12)
    upper, lower = _towards(upper, own, camouflage * 0.8, rng), _towards(lower, own, camouflage * 0.8, rng)
    rows = np.linspace(0, 1, 64)[:, None, None]
    array = (np.array(upper) * (1 - rows) + np.array(lower) * rows) * tint * light
    picture = Image.fromarray(np.broadcast_to(array, (64, 64, 3)).clip(0, 255).astype(np.uint8))
    canvas = Canvas(picture, None, 64, 1)
    for _ in range(18):
        colour = _towards(near[rng.integers(len(near))], own, camouflage, rng)
        radius = rng.uniform(0.04, 0.17)
        stretch = rng.uniform(0.5, 1.8) if kind != "water" else rng.uniform(2, 4)
        canvas.polygon(ellipse(rng.uniform(0, 1, 2), radius * stretch, radius, 14), mix(colour, upper, rng.uniform(0.2, 0.7)))
    return picture.filter(ImageFilter.GaussianBlur(2.2))


def leaf(canvas, base, angle, length, colour, width=0.38):
    """A leaf with its midrib, from ``base`` along ``angle`` (degrees)."""
    along = direction(angle)
    across = np.array([-along[1], along[0]])
    u = np.array([0, 0.18, 0.42, 0.72, 1.0])
    half = np.array([0, 0.34, 0.5, 0.32, 0.0]) * width * length
    middle = base + u[:, None] * length * along
    canvas.polygon(spline(np.concatenate([middle + half[:, None] * across, (middle - half[:, None] * across)[-2:0:-1]]),
                          samples=3), colour, 0)
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
        leaf(canvas, middle[rng.integers(len(middle))], rng.uniform(0, 360), rng.uniform(0.05, 0.11), leaf_colour)


def near(canvas, kind, palette, camouflage, rng):
    """Sharp things behind the bird: leaves, branches, reeds, ripples, stones."""
    colours, own = BACKGROUNDS[kind][2], plumage_colours(palette)
    pick = lambda: shade(_towards(colours[rng.integers(len(colours))], own, camouflage, rng),  # noqa: E731
                         rng.uniform(0.85, 1.15))
    count = int(rng.integers(5, 11))
    if kind == "foliage":
        for _ in range(2):
            _twig(canvas, rng.uniform(-0.1, 1.1, 2), rng.uniform(-0.1, 1.1, 2), rng.uniform(0.01, 0.03),
                  shade((104, 84, 62), rng.uniform(0.8, 1.2)), rng)
        for _ in range(count * 3):
            leaf(canvas, rng.uniform(0, 1, 2), rng.uniform(0, 360), rng.uniform(0.06, 0.18), pick())
    elif kind == "branches":
        for _ in range(count):
            _twig(canvas, rng.uniform(-0.2, 1.2, 2), rng.uniform(-0.2, 1.2, 2), rng.uniform(0.008, 0.045), pick(), rng,
                  leaves=int(rng.integers(0, 4)), leaf_colour=pick())
    elif kind == "sky":
        for _ in range(count // 3):
            _twig(canvas, rng.uniform(-0.1, 1.1, 2), rng.uniform(-0.2, 1.2, 2), rng.uniform(0.008, 0.02), pick(), rng,
                  leaves=4, leaf_colour=pick())
    elif kind == "water":
        for _ in range(count * 3):
            x, y, half = rng.uniform(0, 1), rng.uniform(0.1, 1), rng.uniform(0.03, 0.14)
            canvas.polygon(spline([(x - half, y), (x, y - 0.006), (x + half, y), (x, y + 0.006)], samples=3), pick())
        for _ in range(count):
            x = rng.uniform(0, 1)
            _grass(canvas, (x, rng.uniform(0.7, 1.1)), rng.uniform(0.2, 0.6), rng.normal(0, 0.1), 0.014, pick())
    elif kind == "reeds":
        for _ in range(count * 3):
            x, height, lean = rng.uniform(-0.05, 1.05), rng.uniform(0.4, 1.0), rng.normal(0, 0.12)
            colour = pick()
            _grass(canvas, (x, 1.05), height, lean, rng.uniform(0.008, 0.024), colour)
            if rng.random() < 0.3:
                canvas.polygon(ellipse((x + lean, 1.05 - height), 0.014, 0.05, 12), shade((120, 82, 52), rng.uniform(0.8, 1.2)))
    else:
        for _ in range(count + 3):
            centre, radius = rng.uniform(0, 1, 2) * (1, 0.6) + (0, 0.45), rng.uniform(0.06, 0.2)
            colour = pick()
            bumps = ellipse((0, 0), radius, radius * rng.uniform(0.5, 0.8), 9) * rng.uniform(0.8, 1.2, (9, 1))
            canvas.polygon(spline(centre + bumps, samples=4), shade(colour, 0.72))
            canvas.polygon(spline(centre + bumps * 0.88 - (0, 0.10 * radius), samples=4), colour)
            canvas.polygon(spline(centre + bumps * 0.5 - (0, 0.22 * radius), samples=4), shade(colour, 1.10))


def decoys(canvas, palette, camouflage, rng, unit):
    """Things that resemble a bird or its parts: seed pods, flowers, berries, some in the bird's own colours."""
    own = plumage_colours(palette)
    natural = [(206, 90, 70), (232, 196, 92), (198, 120, 176), (238, 232, 214), (134, 96, 66), (92, 120, 164)]

    def pick():
        lent = rng.random() < 0.15 + 0.75 * camouflage
        return shade(own[rng.integers(len(own))] if lent else natural[rng.integers(len(natural))], rng.uniform(0.85, 1.15))

    for _ in range(int(rng.integers(1, 4)) + int(round(3 * camouflage))):  # a pod: an oval, a round end and a point
        centre, angle, length = rng.uniform(0.03, 0.97, 2), rng.uniform(0, 360), rng.uniform(0.5, 1.1) * unit
        along = direction(angle)
        across = np.array([-along[1], along[0]])
        colour = pick()
        leaf(canvas, centre - 0.8 * length * along, angle, 0.6 * length, shade(colour, 0.75), 0.35)
        frame = np.stack([along, across])
        body = centre + ellipse((0, 0), 0.42 * length, 0.22 * length, 20) @ frame
        canvas.polygon(body, shade(colour, 0.85))
        canvas.polygon(centre + ellipse((0.02 * length, -0.03 * length), 0.36 * length, 0.16 * length, 20) @ frame, colour)
        if rng.random() < 0.6:
            canvas.polygon(centre + ellipse((0.42 * length, -0.1 * length), 0.16 * length, samples=16) @ frame, pick())
        if rng.random() < 0.4:
            for x in rng.uniform(-0.2, 0.2, 4):
                canvas.polygon(centre + ellipse((x * length, x * 0.3 * length), 0.03 * length, samples=8) @ frame, pick())
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
    """The branch (or stone) under the feet, drawn before the bird; it runs along the bird's own ground line."""
    unit = float(np.sqrt(abs(np.linalg.det(bird.matrix))))
    feet = np.mean([leg[-1] for leg in bird.legs], axis=0)
    x = np.array([-12, -3, -0.8, 0.0, 0.9, 3, 12.0])
    width = rng.uniform(0.09, 0.17)
    y = np.concatenate([rng.normal(0, (1.2, 0.22)), [0.01, 0, 0.01], rng.normal(0, (0.22, 1.2))])
    middle = spline(np.stack([feet[0] + x, feet[1] + 0.5 * width + y], axis=1), closed=False, samples=5)
    colour = shade((120, 96, 72), rng.uniform(0.75, 1.25))
    if kind in ("rocks", "water"):
        colour = shade((142, 136, 126), rng.uniform(0.8, 1.15))
        top = np.array([(-0.75, 0.12), (-0.4, 0.015), (0, 0.0), (0.45, 0.015), (0.8, 0.13), (0.9, 0.5), (0, 0.62), (-0.85, 0.5)])
        stone = spline(feet + top * rng.uniform(0.95, 1.1, (8, 1)) * (1, 0.8) - (0, 0.008), samples=5)
        canvas.polygon(bird.place(stone), shade(colour, 0.8))
        canvas.polygon(bird.place(feet + (stone - feet) * (0.9, 0.55)), colour)
        for speck in feet + rng.uniform((-0.6, 0.04), (0.6, 0.22), (10, 2)):
            canvas.polygon(bird.place(ellipse(speck, rng.uniform(0.008, 0.03), 0.008, 8)), shade(colour, rng.uniform(0.8, 1.12)))
        return
    edge = ribbon(middle, width * np.linspace(1.25, 0.7, len(middle)))
    canvas.polygon(bird.place(edge), shade(colour, 0.72))
    canvas.polygon(bird.place(ribbon(middle - (0, 0.14 * width), 0.66 * width)), colour)
    for start in rng.uniform(-2.2, 2.0, 14):  # bark
        line = np.array([(feet[0] + start, feet[1] + rng.uniform(0.1, 0.9) * width)])
        canvas.stroke(bird.place(np.concatenate([line, line + (rng.uniform(0.06, 0.2), 0.005)])), shade(colour, 0.62), 0.010 * unit)


def occluders(canvas, kind, count, centre, extent, rng):
    """Twigs, leaves and grass blades in front of the bird; they set the part map to background."""
    colours = BACKGROUNDS[kind][2]
    for _ in range(count):
        colour = shade(colours[rng.integers(len(colours))], rng.uniform(0.65, 1.1))
        aim = centre + rng.uniform(-0.5, 0.5, 2) * extent
        what = rng.random()
        if what < 0.4:
            angle, reach = rng.uniform(0, 180), rng.uniform(0.25, 0.7)
            _twig(canvas, aim - reach * direction(angle), aim + reach * direction(angle), rng.uniform(0.008, 0.018),
                  shade((110, 90, 66), rng.uniform(0.7, 1.2)), rng, part=0, leaves=int(rng.integers(1, 4)), leaf_colour=colour)
        elif what < 0.7:
            leaf(canvas, aim, rng.uniform(0, 360), rng.uniform(0.16, 0.34) * float(np.max(extent)), colour)
        else:
            for _ in range(3):
                foot = np.array([aim[0] + rng.normal(0, 0.06), 1.05])
                _grass(canvas, foot, rng.uniform(0.3, 1.1) * (1.1 - aim[1]) + 0.1, rng.normal(0, 0.10), rng.uniform(0.008, 0.016), colour, 0)


def light(image, rng):
    """Light from one side and the soft shadows of leaves overhead, multiplied onto the finished picture."""
    size = image.size[0]
    angle, strength = rng.uniform(0, 2 * np.pi), rng.uniform(0.0, 0.22)
    dapple = rng.uniform(0, 0.32)
    grid = rng.uniform(-1, 1, (6, 6))
    step = np.linspace(-1, 1, 32)
    field = 1 + strength * (np.cos(angle) * step[None, :] + np.sin(angle) * step[:, None])
    shadow = Image.fromarray(grid.astype(np.float32)).resize((32, 32), Image.Resampling.BICUBIC)
    field = field - dapple * np.clip(np.asarray(shadow), 0, 1)
    field = Image.fromarray((field * rng.uniform(0.92, 1.08) * 128).clip(0, 255).astype(np.uint8))
    field = np.asarray(field.resize((size, size), Image.Resampling.BICUBIC), dtype=np.uint16)
    lit = np.asarray(image, dtype=np.uint16) * field[..., None] >> 7
    return Image.fromarray(np.minimum(lit, 255).astype(np.uint8))
