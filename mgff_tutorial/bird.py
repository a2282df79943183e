"""One bird: its outline in a pose, and the strokes that paint it and its part map.

Frames: the body frame has x forward (breast at +0.5, rump at -0.5), y down, unit = body length; the head frame has
its origin in the head's centre, x towards the beak, unit = head radius. ``BirdOutline.place`` carries points of the
upright bird into the picture.
"""

from dataclasses import dataclass, replace

import numpy as np
from PIL import ImageFilter

from .drawing import Canvas, blank, direction, ellipse, mix, ribbon, shade, spline, turn
from .species import PART_CLASSES

CLASS = {name: index for index, name in enumerate(PART_CLASSES)}


@dataclass(frozen=True)
class Pose:
    """Angles in degrees: tilt of the body beyond the genus' posture, of neck and head, of the tail."""

    name: str
    tilt: float
    neck: float
    head: float
    tail: float
    step: float


POSES = {  # name: (tilt, neck, head, tail)
    "perched": (0, 0, 0, 0),
    "upright": (22, 12, 0, -8),
    "leaning": (-20, -22, -6, 6),
    "head up": (6, 16, 34, 0),
    "head down": (-6, -26, -32, 4),
    "pecking": (-38, -62, -50, 12),
}


def draw_pose(rng, name=None):
    """A random pose, or a random variation of the pose ``name``."""
    names = list(POSES)
    chosen = names[rng.choice(len(names), p=[0.34, 0.16, 0.16, 0.12, 0.12, 0.10])]
    jitter = rng.normal(size=5) * (5, 7, 8, 9, 0.03)
    tilt, neck, head, tail = POSES[name or chosen]
    return Pose(name or chosen, tilt + jitter[0], neck + jitter[1], head + jitter[2], tail + jitter[3], jitter[4])


def tinted(palette, rng):
    """The palette as it looks on this bird today: a common tint and lightness, and a little of its own per colour."""
    tint = rng.normal(0, 0.045, 3)
    light = rng.uniform(0.84, 1.12)
    own = rng.normal(0, 0.02, (11, 3))
    colours = {}
    for number, (name, colour) in enumerate(vars(palette).items()):
        factor = light * (1 + tint + own[number])
        colours[name] = tuple(int(v) for v in np.clip(np.array(colour) * factor, 4, 255).round())
    return replace(palette, **colours)


class BirdOutline:
    """Where everything of a posed bird is, in the frame of the upright bird (unit: body length)."""

    def __init__(self, species, pose, part_scale=1.0):
        self.species, self.pose, self.part_scale = species, pose, part_scale
        self.shape = s = species.genus.shape
        self.depth = d = s.depth
        self._body = turn(s.posture + pose.tilt)
        self.neck_base = self.body((0.36, -0.26 * d))
        self.head_centre = self.neck_base + s.neck * direction(np.clip(s.neck_angle + pose.neck, -55, 88))
        self._head = turn(pose.head)
        self.matrix, self.shift = np.eye(2), np.zeros(2)
        self.outline = self._outline()
        self.head_outline = self.head(ellipse((0.02, 0), 1.06, 0.97, 44))
        self.tail_base = self.body((-0.44, -0.05 * d))
        back = self.body((-1, 0)) - self.body((0, 0))
        self._tail_along = turn(pose.tail) @ back
        self._tail_across = np.array([self._tail_along[1], -self._tail_along[0]])
        self._legs()

    def body(self, points):
        """Body frame to the frame of the upright bird."""
        return np.asarray(points, dtype=float) @ self._body.T

    def head(self, points):
        """Head frame to the frame of the upright bird."""
        return self.head_centre + (np.asarray(points, dtype=float) * self.shape.head) @ self._head.T

    def beak_frame(self, points):
        """Points in units of the body length from the root of the beak, x along the beak."""
        root = self.head((0.86, 0.12))
        return root + np.asarray(points, dtype=float) @ self._head.T

    def tail(self, along, across):
        """Point of the tail: ``along`` 0 at the base to 1 at the tip, ``across`` -1 (upper edge) to 1."""
        along, across = np.asarray(along, dtype=float), np.asarray(across, dtype=float)
        half = self.shape.tail_width * (0.30 + 0.24 * along)
        return (self.tail_base + (along * self.shape.tail)[..., None] * self._tail_along
                + (across * half)[..., None] * self._tail_across)

    def wing(self, along, across):
        """Point of the folded wing: ``along`` 0 at the shoulder to 1 at the tip, ``across`` -1 (upper edge) to 1."""
        along, across = np.asarray(along, dtype=float), np.asarray(across, dtype=float)
        middle = self.depth * (-0.10 + 0.06 * along)
        half = 0.26 * self.depth * 2.36 * np.sqrt(along) * np.maximum(1 - along, 0) ** 0.85
        return self.body(np.stack([0.35 - self.shape.wing * along, middle + across * half], axis=-1))

    def _outline(self):
        d = self.depth
        throat, nape = self.head((0.42, 0.86)), self.head((-0.86, 0.30))
        chest, shoulder = self.body((0.49, 0.02 * d)), self.body((0.22, -0.47 * d))
        between_front, between_back = (throat + chest) / 2, (nape + shoulder) / 2
        pull = 0.06 * self.shape.neck * self.body((1, 0))
        front = [throat, between_front - pull, chest, self.body((0.40, 0.32 * d)), self.body((0.18, 0.49 * d)),
                 self.body((-0.10, 0.48 * d)), self.body((-0.34, 0.28 * d)), self.body((-0.50, 0.08 * d)),
                 self.body((-0.53, -0.10 * d)), self.body((-0.36, -0.30 * d)), self.body((-0.06, -0.46 * d)),
                 shoulder, between_back + pull, nape]
        return spline(front, closed=False)

    def _legs(self):
        length = self.shape.leg
        self.legs = []
        low = self.outline[:, 1].max()
        hips = self.body((-0.04, 0.38 * self.depth)), self.body((0.07, 0.38 * self.depth))
        self.ground = max(low + 0.62 * length, hips[0][1] + length + 0.1 * self.depth)
        for hip, lean in zip(hips, (-0.01 + self.pose.step, 0.03 - self.pose.step)):
            foot = np.array([hip[0] + lean, self.ground])
            knee = (hip + foot) / 2 + (-0.10 * length - 0.015, 0.02 * length)
            self.legs.append(np.array([hip, knee, foot]))

    def beak(self):
        """Outline of the beak and the line between its halves."""
        length, d = self.shape.beak * self.part_scale, self.shape.beak_depth * self.part_scale
        code = self.species.code("beak")
        if code == "cone":
            length, d = 0.68 * length + 0.015, 1.30 * d + 0.01
            upper = [(-0.05, -0.62 * d), (0.30 * length, -0.46 * d), (0.75 * length, -0.12 * d), (length, 0.10 * d)]
            lower = [(0.5 * length, 0.40 * d), (-0.05, 0.56 * d)]
            line = [(-0.02, 0.02 * d), (0.9 * length, 0.09 * d)]
        elif code == "hooked":
            length, d = 0.76 * length + 0.02, 1.15 * d + 0.025
            upper = [(-0.05, -0.55 * d), (0.40 * length, -0.56 * d), (0.82 * length, -0.26 * d),
                     (1.0 * length, 0.30 * d), (0.97 * length, 0.82 * d), (0.80 * length, 0.26 * d)]
            lower = [(0.55 * length, 0.36 * d), (0.2 * length, 0.46 * d), (-0.05, 0.48 * d)]
            line = [(-0.02, 0.06 * d), (0.5 * length, 0.05 * d), (0.82 * length, 0.26 * d)]
        elif code == "curved":
            x = np.linspace(-0.04, 1.18 * length, 9)
            middle = np.stack([x, 0.52 * np.maximum(x, 0) ** 2 / (1.18 * length)], axis=1)
            outline = ribbon(middle, d * np.linspace(1.0, 0.10, 9) ** 0.8)
            return self.beak_frame(outline), self.beak_frame(middle[1:-1])
        else:
            upper = [(-0.05, -0.48 * d), (0.5 * length, -0.27 * d), (length, 0.02)]
            lower = [(0.5 * length, 0.30 * d), (-0.05, 0.48 * d)]
            line = [(-0.02, 0.01), (0.85 * length, 0.015)]
        upper, lower = spline(upper, closed=False, samples=4), spline(lower, closed=False, samples=4)
        return self.beak_frame(np.concatenate([upper, lower])), self.beak_frame(line)

    def crest(self):
        """Outline of the crest: three pointed feathers."""
        p = self.part_scale
        front = spline([(0.62, -0.70), (0.36, -1.02), (-0.10, -1.36), (-0.86, -1.74)], closed=False, samples=4)
        rear = [(-0.58, -1.30), (-1.22, -1.36), (-0.84, -0.96), (-1.34, -0.88), (-0.86, -0.60), (-0.2, -0.5)]
        root = np.array([-0.1, -0.7])
        return self.head(root + (np.concatenate([front, rear]) - root) * p)

    def crown(self):
        """The region that the crown's code speaks of (it reaches beyond the head and is clipped to it)."""
        low = 0.10 * (self.part_scale - 1)
        return self.head(spline([(0.98, -0.36 + low), (0.35, -0.42 + low), (-0.35, -0.30 + low), (-0.98, 0.10 + low),
                                 (-1.3, -0.5), (-0.7, -1.25), (0.4, -1.25), (1.1, -0.8)], samples=4))

    def breast(self):
        """The region of the breast's code (clipped to the body)."""
        d = self.depth
        return self.body(spline([(0.66, -0.22 * d), (0.34, -0.20 * d), (0.16, 0.05 * d), (0.02, 0.36 * d),
                                 (0.04, 0.64 * d), (0.40, 0.62 * d), (0.68, 0.28 * d)], samples=4))

    def tail_outline(self):
        if self.species.code("tail") == "fork":
            cut = 1 - 0.34 * min(self.part_scale, 2)
            return self.tail([0, 0.5, 0.9, 1.04, 0.98, cut, 0.98, 1.04, 0.9, 0.5, 0],
                             [-1, -1, -1.2, -1.5, -0.7, 0, 0.7, 1.5, 1.2, 1, 1])
        return self.tail([0, 0.5, 0.93, 0.99, 1.01, 0.99, 0.93, 0.5, 0], [-1, -1, -1, -0.6, 0, 0.6, 1, 1, 1])

    def extent(self):
        """Points that bound the bird, (N, 2), whatever its codes: its size in the picture must not depend on them."""
        ends = [self.beak_frame([(self.shape.beak, 0)]), self.tail([1.0, 1.0], [-1, 1])]
        return np.concatenate([self.outline, self.head_outline, *ends] + [leg[-1:] + [0, 0.02] for leg in self.legs])

    def place(self, points):
        """The frame of the upright bird to picture coordinates (fractions of the side)."""
        return np.asarray(points) @ self.matrix.T + self.shift

    def points(self):
        """Name -> (point in the picture, the classes it may lie on) for ``Scene.parts``."""
        d, s = self.depth, self.species
        beak = self.beak()[0]
        coded = {
            "beak": (beak.mean(0) + self.beak_frame((0, 0))) / 2, "crown": self.head((-0.05, -0.72)),
            "eye": self.head((0.36, -0.14)), "wing": self.wing(0.32, 0.0),
            "breast": self.body((0.36, 0.12 * d)), "tail": self.tail(0.82, -0.45)}
        found = {name: (point, {CLASS[f"{name}:{s.code(name)}"]}) for name, point in coded.items()}
        found["back"] = self.body((-0.05, -0.38 * d)), {CLASS["body"], CLASS[f"wing:{s.code('wing')}"]}
        found["belly"] = self.body((-0.06, 0.38 * d)), {CLASS["body"]}
        found["nape"] = self.head((-0.75, 0.25)), {CLASS["body"], CLASS["head"]}
        found["leg"] = (self.legs[1][1] + self.legs[1][2]) / 2, {CLASS["leg"]}
        return {name: (self.place(point), classes) for name, (point, classes) in found.items()}


def paint_bird(canvas, bird, palette, rng):
    """Draw a placed bird on a canvas, back to front: tail, legs, body with its marks, head, wing, beak, eye."""
    place, unit = bird.place, float(np.sqrt(abs(np.linalg.det(bird.matrix))))
    line = mix(shade(palette.back, 0.35), (40, 32, 30), 0.5)
    _tail(canvas, bird, palette, unit)
    _legs(canvas, bird, palette, unit)
    if bird.species.code("crown") == "crest":
        crest = place(bird.crest())
        canvas.polygon(crest, palette.crown, CLASS["crown:crest"])
    for outline in (bird.outline, bird.head_outline):  # the inner half of these lines is painted over
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
        canvas.stroke(place(bird.tail([0.1, 0.9], [across, across])), shade(palette.tail, 0.78), 0.010 * unit)
    if code == "pale tip":
        start = 1 - 0.24 * min(p, 3)
        canvas.polygon(place(bird.tail([start, 0.93, 0.99, 1.01, 0.99, 0.93, start],
                                       [-1, -1, -0.6, 0, 0.6, 1, 1])), palette.pale)
    elif code == "banded":
        for middle in (0.94, 0.74, 0.54):
            half = 0.052 * p
            canvas.polygon(place(bird.tail([middle - half, middle + half, middle + half, middle - half],
                                           [-1, -1, 1, 1])), palette.pale)
    canvas.stroke(np.concatenate([outline, outline[:1]]), shade(palette.tail, 0.5), 0.008 * unit)


def _legs(canvas, bird, palette, unit):
    for leg, tone in zip(bird.legs, (0.72, 1.0)):
        colour = shade(palette.leg, tone)
        canvas.stroke(bird.place(leg), colour, 0.036 * unit, CLASS["leg"])
        foot = leg[-1]
        for x, y in ((0.11, 0.015), (0.08, 0.035), (-0.07, 0.02)):
            canvas.stroke(bird.place([foot - (0, 0.01), foot + (x * 0.6, -0.008), foot + (x, y)]), colour,
                          0.026 * unit, CLASS["leg"])


def _body_layer(canvas, bird, palette, unit, rng):
    """Body and head: soft zones of colour (blurred), crisp marks on top, cut out by the silhouette."""
    place, d, size = bird.place, bird.depth, canvas.size
    oversample = canvas.scale // size
    silhouettes = [place(bird.outline), place(bird.head_outline)]
    every = np.concatenate(silhouettes)
    low = np.floor(np.clip(every.min(0), 0, 1) * size).astype(int) - 2
    high = np.ceil(np.clip(every.max(0), 0, 1) * size).astype(int) + 3
    width, height = (int(v) for v in high - low)

    soft = Canvas(blank((width, height), palette.belly), None, size, 1, low)
    body = lambda points: place(bird.body(points))  # noqa: E731
    soft.polygon(body([(0.3, 0.46 * d), (0, 0.36 * d), (-0.6, 0.1 * d), (-0.6, 0.8 * d), (0.4, 0.8 * d)]),
                 shade(palette.belly, 0.80))
    soft.polygon(place(bird.breast()), palette.breast)
    back = body([(0.44, -0.16 * d), (0.1, -0.14 * d), (-0.3, 0.0), (-0.62, 0.16 * d), (-0.75, -0.6 * d),
                 (0.1, -0.75 * d)])
    soft.polygon(np.concatenate([back, place(bird.head([(-1.2, -0.4), (-0.4, 0.5)]))]), palette.back)
    soft.polygon(body([(0.2, -0.44 * d), (-0.2, -0.40 * d), (-0.2, -0.6 * d), (0.2, -0.6 * d)]),
                 shade(palette.back, 1.22))
    soft.polygon(place(bird.head(ellipse((0.10, -0.22), 1.34, 1.24, 16))), palette.head)
    soft.polygon(place(bird.head([(0.9, 0.3), (0.2, 0.35), (-0.3, 0.9), (0.3, 1.2), (1.1, 0.8)])),
                 mix(palette.head, palette.belly, 0.6))
    layer = soft.image.filter(ImageFilter.BoxBlur(0.045 * unit * size)).filter(
        ImageFilter.BoxBlur(0.036 * unit * size))
    layer = layer.resize((width * oversample, height * oversample), 2)
    marks = Canvas(layer, blank((width, height), CLASS["body"]), size, oversample, low)
    mask = Canvas(blank((width * oversample, height * oversample)), blank((width, height)), size, oversample, low)
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
    strokes = bird.place(bird.body(np.stack([np.stack([x, y], 1), np.stack([x - 0.05, y + 0.015], 1)], 1)))
    for a, b, t, stroke in zip(x, y, tone, strokes):
        base = palette.back if b < -0.08 * bird.depth else palette.breast if a > 0.15 else palette.belly
        marks.stroke(stroke, shade(base, t), 0.012 * unit)


def _breast(marks, bird, palette, unit, rng):
    code, p, d = bird.species.code("breast"), bird.part_scale, bird.depth
    marks.polygon(bird.place(bird.breast()), None, CLASS[f"breast:{code}"])
    jitter = rng.uniform(-1, 1, (4, 6, 2)) * 0.014
    if code == "band":
        middle = spline([(0.64, 0.04 * d), (0.48, 0.18 * d), (0.32, 0.22 * d), (0.10, 0.14 * d)], closed=False)
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
                marks.polygon(bird.place(bird.body(ellipse((x, y), 0.029 * p, samples=12))), palette.mark)
            else:
                streak = [(x + 0.035, y - 0.055), (x + 0.016, y), (x - 0.03, y + 0.06), (x - 0.004, y + 0.005)]
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
        marks.polygon(bird.place(bird.head([(0.62, -0.75), (0.1, -0.72), (-0.8, -0.22), (-1.3, -0.6), (0, -1.4)])),
                      palette.crown)


def _wing(canvas, bird, palette, unit):
    place, code, p = bird.place, bird.species.code("wing"), bird.part_scale
    along = np.linspace(0, 1, 15) ** 1.4
    outline = place(np.concatenate([bird.wing(along, -np.ones(15)), bird.wing(along[::-1], np.ones(15))]))
    canvas.polygon(outline, palette.wing, CLASS[f"wing:{code}"])
    inner = np.linspace(0.02, 0.62, 9)
    canvas.polygon(place(np.concatenate([bird.wing(inner, -0.94 * np.ones(9)), bird.wing(inner[::-1], np.ones(9) * 0.1)])),
                   mix(palette.wing, palette.back, 0.55))
    dark, light = shade(palette.wing, 0.70), shade(palette.wing, 1.22)
    for across in (-0.5, -0.1, 0.3, 0.66):  # flight feathers
        feather = place(bird.wing(np.array([0.48, 0.7, 0.96]), np.full(3, across)))
        canvas.stroke(feather, dark, 0.012 * unit)
        canvas.stroke(feather + 0.010 * unit, light, 0.007 * unit)
    for row, start in enumerate((0.12, 0.22)):  # coverts
        for across in np.linspace(-0.7, 0.7, 5) + 0.12 * row:
            tip = bird.wing(np.array([start, start + 0.045, start]), across + np.array([-0.16, 0, 0.16]))
            canvas.stroke(place(tip), dark, 0.009 * unit)
    middles = {"plain": (), "one bar": (0.34,), "two bars": (0.24, 0.42)}[code]
    for middle in middles:
        across = np.linspace(-0.93, 0.93, 9)
        half = 0.028 * p * (1 - 0.35 * across**2)
        bulge = middle + 0.05 * (1 - across**2)
        canvas.polygon(place(np.concatenate([bird.wing(bulge - half, across), bird.wing((bulge + half)[::-1], across[::-1])])),
                       palette.pale)
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
    canvas.polygon(bird.place(ellipse(centre + (0.28 * radius, -0.34 * radius), 0.30 * radius, samples=10)),
                   (250, 250, 250))
