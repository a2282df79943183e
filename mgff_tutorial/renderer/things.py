"""Things of a scene other than the bird: leaves, twigs and grass, decoys that resemble birds, the
perch, and what hangs in front.
"""

import numpy as np

from .drawing import direction, ellipse, ribbon, shade, spline


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


def grass(canvas, foot, height, lean, width, colour, part=None):
    t = np.linspace(0, 1, 7)
    middle = np.stack([foot[0] + lean * t**2, foot[1] - height * t], axis=1)
    canvas.polygon(ribbon(middle, width * (1 - 0.9 * t)), colour, part)


def twig(canvas, start, end, width, colour, rng, part=None, leaves=0, leaf_colour=None):
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
            canvas.stroke(bird.place(crack), shade(colour, 0.55), 0.012 * bird.unit)
        canvas.polygon(bird.place(ellipse(feet + (0, 0.03), half, 0.055, 20)), shade(colour, 1.12))
        canvas.stroke(
            bird.place(ellipse(feet + (0, 0.03), 0.55 * half, 0.026, 16)),
            shade(colour, 0.9),
            0.008 * bird.unit,
        )
        return
    edge = ribbon(middle, width * np.linspace(1.25, 0.7, len(middle)))
    canvas.polygon(bird.place(edge), shade(colour, 0.72))
    canvas.polygon(bird.place(ribbon(middle - (0, 0.14 * width), 0.66 * width)), colour)
    for start in rng.uniform(-2.2, 2.0, 14):  # bark
        line = np.array([(feet[0] + start, feet[1] + rng.uniform(0.1, 0.9) * width)])
        line = np.concatenate([line, line + (rng.uniform(0.06, 0.2), 0.005)])
        canvas.stroke(bird.place(line), shade(colour, 0.62), 0.010 * bird.unit)


def occluders(canvas, colours, count, centre, extent, rng):
    """Twigs, leaves and grass blades in front of the bird; they set the part map to background."""
    for _ in range(count):
        colour = shade(colours[rng.integers(len(colours))], rng.uniform(0.65, 1.1))
        aim = centre + rng.uniform(-0.5, 0.5, 2) * extent
        what = rng.random()
        if what < 0.4:
            angle, reach = rng.uniform(0, 180), rng.uniform(0.25, 0.7)
            start, end = aim - reach * direction(angle), aim + reach * direction(angle)
            twig(
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
                grass(
                    canvas, foot, height, rng.normal(0, 0.10), rng.uniform(0.008, 0.016), colour, 0
                )
