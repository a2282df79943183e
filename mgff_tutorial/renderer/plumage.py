"""The strokes that paint a placed bird, and its part map with them."""

from dataclasses import replace

import numpy as np
from PIL import ImageFilter

from .bird import CLASS
from .drawing import Canvas, blank, ellipse, mix, ribbon, shade, spline


def tinted(palette, rng):
    """The palette as it looks on this bird today: a common tint and lightness, and a little of its
    own per colour.
    """
    tint = rng.normal(0, 0.045, 3)
    light = rng.uniform(0.84, 1.12)
    own = rng.normal(0, 0.02, (11, 3))
    colours = np.array(list(vars(palette).values())) * (light * (1 + tint + own))
    colours = np.clip(colours, 4, 255).round().astype(int).tolist()
    return replace(palette, **dict(zip(vars(palette), map(tuple, colours))))


def paint_bird(canvas, bird, palette, rng):
    """Draw a placed bird on a canvas, back to front: tail, legs, body with its marks, head, wing,
    beak, eye.
    """
    place, unit = bird.place, bird.unit
    line = mix(shade(palette.back, 0.35), (40, 32, 30), 0.5)
    _tail(canvas, bird, palette, unit)
    _legs(canvas, bird, palette, unit)
    if bird.species.code("crown") == "crest":
        crest = place(bird.crest())
        canvas.polygon(crest, palette.crown, CLASS["crown:crest"])
    for outline in (
        bird.outline,
        bird.head_outline,
    ):  # the inner half of these lines is painted over
        canvas.stroke(place(np.concatenate([outline, outline[:1]])), line, 0.020 * unit)
    _body_layer(canvas, bird, palette, unit, rng)
    _wing(canvas, bird, palette, unit)
    _beak(canvas, bird, palette, unit)
    _eye(canvas, bird, palette, unit)


def _tail(canvas, bird, palette, unit):
    place, code, p = bird.place, bird.species.code("tail"), bird.part_scale
    outline = place(bird.tail_outline())
    canvas.polygon(outline, palette.tail, CLASS[f"tail:{code}"])
    for across in (-0.4, 0.1, 0.55):
        canvas.stroke(
            place(bird.tail([0.1, 0.9], [across, across])), shade(palette.tail, 0.78), 0.010 * unit
        )
    if code == "pale tip":
        start = 1 - 0.24 * min(p, 3)
        canvas.polygon(
            place(
                bird.tail(
                    [start, 0.93, 0.99, 1.01, 0.99, 0.93, start], [-1, -1, -0.6, 0, 0.6, 1, 1]
                )
            ),
            palette.pale,
        )
    elif code == "banded":
        for middle in (0.94, 0.74, 0.54):
            half = 0.052 * p
            canvas.polygon(
                place(
                    bird.tail(
                        [middle - half, middle + half, middle + half, middle - half], [-1, -1, 1, 1]
                    )
                ),
                palette.pale,
            )
    canvas.stroke(np.concatenate([outline, outline[:1]]), shade(palette.tail, 0.5), 0.008 * unit)


def _legs(canvas, bird, palette, unit):
    for leg, tone in zip(bird.legs, (0.72, 1.0)):
        colour = shade(palette.leg, tone)
        canvas.stroke(bird.place(leg), colour, 0.036 * unit, CLASS["leg"])
        foot = leg[-1]
        for x, y in ((0.11, 0.015), (0.08, 0.035), (-0.07, 0.02)):
            canvas.stroke(
                bird.place([foot - (0, 0.01), foot + (x * 0.6, -0.008), foot + (x, y)]),
                colour,
                0.026 * unit,
                CLASS["leg"],
            )


def _body_layer(canvas, bird, palette, unit, rng):
    """Body and head: soft zones of colour (blurred), crisp marks on top, cut out by the
    silhouette.
    """
    place, d, size = bird.place, bird.depth, canvas.size
    oversample = canvas.scale // size
    silhouettes = [place(bird.outline), place(bird.head_outline)]
    every = np.concatenate(silhouettes)
    low = np.floor(np.clip(every.min(0), 0, 1) * size).astype(int) - 2
    high = np.ceil(np.clip(every.max(0), 0, 1) * size).astype(int) + 3
    width, height = (int(v) for v in high - low)

    soft = Canvas(blank((width, height), palette.belly), None, size, 1, low)
    body = lambda points: place(bird.body(points))  # noqa: E731
    back = [
        (0.44, -0.16 * d),
        (0.1, -0.14 * d),
        (-0.3, 0.0),
        (-0.62, 0.16 * d),
        (-0.75, -0.6 * d),
        (0.1, -0.75 * d),
    ]
    flank = [(0.3, 0.46 * d), (0, 0.36 * d), (-0.6, 0.1 * d), (-0.6, 0.8 * d), (0.4, 0.8 * d)]
    ridge = [(0.2, -0.44 * d), (-0.2, -0.40 * d), (-0.2, -0.6 * d), (0.2, -0.6 * d)]
    nape = place(bird.head([(-1.2, -0.4), (-0.4, 0.5)]))
    chin = [(0.9, 0.3), (0.2, 0.35), (-0.3, 0.9), (0.3, 1.2), (1.1, 0.8)]
    for zone, colour in (
        (body(flank), shade(palette.belly, 0.80)),
        (place(bird.breast()), palette.breast),
        (np.concatenate([body(back), nape]), palette.back),
        (body(ridge), shade(palette.back, 1.22)),
        (place(bird.head(ellipse((0.10, -0.22), 1.34, 1.24, 16))), palette.head),
        (place(bird.head(chin)), mix(palette.head, palette.belly, 0.6)),
    ):
        soft.polygon(zone, colour)
    layer = soft.image.filter(ImageFilter.BoxBlur(0.045 * unit * size)).filter(
        ImageFilter.BoxBlur(0.036 * unit * size)
    )
    layer = layer.resize((width * oversample, height * oversample), 2)
    marks = Canvas(layer, blank((width, height), CLASS["body"]), size, oversample, low)
    mask = Canvas(
        blank((width * oversample, height * oversample)),
        blank((width, height)),
        size,
        oversample,
        low,
    )
    mask.polygon(silhouettes[1], 255, 255)
    bare_head = layer.copy()  # feathers and marks of the breast stay off the head
    _feathers(marks, bird, palette, unit, rng)
    _breast(marks, bird, palette, unit, rng)
    layer.paste(bare_head, (0, 0), mask.image)
    marks.polygon(silhouettes[1], None, CLASS["head"])
    _crown(marks, bird, palette, unit)
    mask.polygon(silhouettes[0], 255, 255)
    corner = tuple(int(v) for v in low)
    canvas.image.paste(layer, tuple(oversample * v for v in corner), mask.image)
    canvas.part_map.paste(marks.part_map, corner, mask.part_map)


def _feathers(marks, bird, palette, unit, rng):
    count = 46
    x = rng.uniform(-0.5, 0.45, count)
    y = rng.uniform(-0.42, 0.44, count) * bird.depth
    tone = rng.uniform(0.84, 1.10, count)
    strokes = bird.place(
        bird.body(np.stack([np.stack([x, y], 1), np.stack([x - 0.05, y + 0.015], 1)], 1))
    )
    for a, b, t, stroke in zip(x, y, tone, strokes):
        base = (
            palette.back
            if b < -0.08 * bird.depth
            else palette.breast
            if a > 0.15
            else palette.belly
        )
        marks.stroke(stroke, shade(base, t), 0.012 * unit)


def _breast(marks, bird, palette, unit, rng):
    code, p, d = bird.species.code("breast"), bird.part_scale, bird.depth
    marks.polygon(bird.place(bird.breast()), None, CLASS[f"breast:{code}"])
    jitter = rng.uniform(-1, 1, (4, 6, 2)) * 0.014
    if code == "band":
        middle = spline(
            [(0.64, 0.04 * d), (0.48, 0.18 * d), (0.32, 0.22 * d), (0.10, 0.14 * d)], closed=False
        )
        marks.polygon(bird.place(bird.body(ribbon(middle, 0.105 * p))), palette.mark)
        return
    if code == "plain":
        return
    for row in range(4):
        for column in range(6):
            x = 0.48 - 0.085 * column + 0.0425 * (row % 2) + jitter[row, column, 0]
            y = (-0.12 + 0.17 * row) * d + jitter[row, column, 1]
            if x < 0.10 + 0.18 * (0.1 - y / d):
                continue
            if code == "spots":
                marks.polygon(
                    bird.place(bird.body(ellipse((x, y), 0.029 * p, samples=12))), palette.mark
                )
            else:
                streak = [
                    (x + 0.035, y - 0.055),
                    (x + 0.016, y),
                    (x - 0.03, y + 0.06),
                    (x - 0.004, y + 0.005),
                ]
                spread = (np.array(streak) - (x, y)) * p + (x, y)
                marks.polygon(bird.place(bird.body(spread)), palette.mark)


def _crown(marks, bird, palette, unit):
    code = bird.species.code("crown")
    region = bird.place(bird.crown())
    marks.polygon(region, palette.crown if code == "cap" else None, CLASS[f"crown:{code}"])
    if code == "stripe":
        curve = spline([(1.0, -0.40), (0.4, -0.62), (-0.3, -0.62), (-1.1, -0.18)], closed=False)
        marks.polygon(bird.place(bird.head(ribbon(curve, 0.30 * bird.part_scale))), palette.crown)
    elif code == "crest":
        marks.polygon(
            bird.place(
                bird.head([(0.62, -0.75), (0.1, -0.72), (-0.8, -0.22), (-1.3, -0.6), (0, -1.4)])
            ),
            palette.crown,
        )


def _wing(canvas, bird, palette, unit):
    place, code, p = bird.place, bird.species.code("wing"), bird.part_scale
    along = np.linspace(0, 1, 15) ** 1.4
    outline = place(
        np.concatenate([bird.wing(along, -np.ones(15)), bird.wing(along[::-1], np.ones(15))])
    )
    canvas.polygon(outline, palette.wing, CLASS[f"wing:{code}"])
    inner = np.linspace(0.02, 0.62, 9)
    mantle = np.concatenate(
        [bird.wing(inner, np.full(9, -0.94)), bird.wing(inner[::-1], np.full(9, 0.1))]
    )
    canvas.polygon(place(mantle), mix(palette.wing, palette.back, 0.55))
    dark, light = shade(palette.wing, 0.70), shade(palette.wing, 1.22)
    for across in (-0.5, -0.1, 0.3, 0.66):  # flight feathers
        feather = place(bird.wing(np.array([0.48, 0.7, 0.96]), np.full(3, across)))
        canvas.stroke(feather, dark, 0.012 * unit)
        canvas.stroke(feather + 0.010 * unit, light, 0.007 * unit)
    for row, start in enumerate((0.12, 0.22)):  # coverts
        for across in np.linspace(-0.7, 0.7, 5) + 0.12 * row:
            tip = bird.wing(
                np.array([start, start + 0.045, start]), across + np.array([-0.16, 0, 0.16])
            )
            canvas.stroke(place(tip), dark, 0.009 * unit)
    middles = {"plain": (), "one bar": (0.34,), "two bars": (0.24, 0.42)}[code]
    for middle in middles:
        across = np.linspace(-0.93, 0.93, 9)
        half = 0.028 * p * (1 - 0.35 * across**2)
        bulge = middle + 0.05 * (1 - across**2)
        bar = np.concatenate(
            [bird.wing(bulge - half, across), bird.wing((bulge + half)[::-1], across[::-1])]
        )
        canvas.polygon(place(bar), palette.pale)
    canvas.stroke(np.concatenate([outline, outline[:1]]), shade(palette.wing, 0.55), 0.009 * unit)


def _beak(canvas, bird, palette, unit):
    outline, line = bird.beak()
    outline = bird.place(outline)
    canvas.polygon(outline, palette.beak, CLASS[f"beak:{bird.species.code('beak')}"])
    dark = shade(palette.beak, 0.55)
    canvas.stroke(bird.place(line), dark, 0.010 * unit)
    canvas.stroke(np.concatenate([outline, outline[:1]]), dark, 0.008 * unit)


def _eye(canvas, bird, palette, unit):
    code, radius = bird.species.code("eye"), bird.shape.eye
    centre = bird.head((0.36, -0.14))
    p = bird.part_scale
    ring = radius * (1 + {"plain": 0.18, "thin ring": 0.50 * p, "bold ring": 1.15 * p}[code])
    region = radius * (1 + 1.15 * p)
    canvas.polygon(bird.place(ellipse(centre, region)), None, CLASS[f"eye:{code}"])
    colour = shade(palette.head, 0.6) if code == "plain" else palette.pale
    canvas.polygon(bird.place(ellipse(centre, ring)), colour)
    canvas.polygon(bird.place(ellipse(centre, radius)), (26, 20, 20))
    canvas.polygon(
        bird.place(ellipse(centre + (0.28 * radius, -0.34 * radius), 0.30 * radius, samples=10)),
        (250, 250, 250),
    )
