"""One bird as geometry: where everything is, for a species in a pose. ``plumage`` paints it.

Frames: the body frame has x forward (breast at +0.5, rump at -0.5), y down, unit = body length; the
head frame has its origin in the head's centre, x towards the beak, unit = head radius.
``BirdOutline.place`` carries points of the upright bird into the picture.
"""

from dataclasses import dataclass

import numpy as np

from .drawing import direction, ellipse, ribbon, spline, turn
from .species import PART_CLASSES

CLASS = {name: index for index, name in enumerate(PART_CLASSES)}


@dataclass(frozen=True)
class Pose:
    """Angles in degrees: tilt of the body beyond the genus' posture, of neck and head, of the
    tail.
    """

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
    return Pose(
        name or chosen,
        tilt + jitter[0],
        neck + jitter[1],
        head + jitter[2],
        tail + jitter[3],
        jitter[4],
    )


class BirdOutline:
    """Where everything of a posed bird is, in the frame of the upright bird (unit: body length)."""

    def __init__(self, species, pose, part_scale=1.0):
        self.species, self.pose, self.part_scale = species, pose, part_scale
        self.shape = s = species.genus.shape
        self.depth = d = s.depth
        self._body = turn(s.posture + pose.tilt)
        self.neck_base = self.body((0.36, -0.26 * d))
        self.head_centre = self.neck_base + s.neck * direction(
            np.clip(s.neck_angle + pose.neck, -55, 88)
        )
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
        """Point of the tail: ``along`` 0 at the base to 1 at the tip, ``across`` -1 (upper edge) to
        1.
        """
        along, across = np.asarray(along, dtype=float), np.asarray(across, dtype=float)
        half = self.shape.tail_width * (0.30 + 0.24 * along)
        return (
            self.tail_base
            + (along * self.shape.tail)[..., None] * self._tail_along
            + (across * half)[..., None] * self._tail_across
        )

    def wing(self, along, across):
        """Point of the folded wing: ``along`` 0 at the shoulder to 1 at the tip, ``across`` -1
        (upper edge) to 1.
        """
        along, across = np.asarray(along, dtype=float), np.asarray(across, dtype=float)
        middle = self.depth * (-0.10 + 0.06 * along)
        half = 0.26 * self.depth * 2.36 * np.sqrt(along) * np.maximum(1 - along, 0) ** 0.85
        return self.body(
            np.stack([0.35 - self.shape.wing * along, middle + across * half], axis=-1)
        )

    def _outline(self):
        d = self.depth
        throat, nape = self.head((0.42, 0.86)), self.head((-0.86, 0.30))
        chest, shoulder = self.body((0.49, 0.02 * d)), self.body((0.22, -0.47 * d))
        between_front, between_back = (throat + chest) / 2, (nape + shoulder) / 2
        pull = 0.06 * self.shape.neck * self.body((1, 0))
        front = [
            throat,
            between_front - pull,
            chest,
            self.body((0.40, 0.32 * d)),
            self.body((0.18, 0.49 * d)),
            self.body((-0.10, 0.48 * d)),
            self.body((-0.34, 0.28 * d)),
            self.body((-0.50, 0.08 * d)),
            self.body((-0.53, -0.10 * d)),
            self.body((-0.36, -0.30 * d)),
            self.body((-0.06, -0.46 * d)),
            shoulder,
            between_back + pull,
            nape,
        ]
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
            upper = [
                (-0.05, -0.62 * d),
                (0.30 * length, -0.46 * d),
                (0.75 * length, -0.12 * d),
                (length, 0.10 * d),
            ]
            lower = [(0.5 * length, 0.40 * d), (-0.05, 0.56 * d)]
            line = [(-0.02, 0.02 * d), (0.9 * length, 0.09 * d)]
        elif code == "hooked":
            length, d = 0.76 * length + 0.02, 1.15 * d + 0.025
            upper = [
                (-0.05, -0.55 * d),
                (0.40 * length, -0.56 * d),
                (0.82 * length, -0.26 * d),
                (1.0 * length, 0.30 * d),
                (0.97 * length, 0.82 * d),
                (0.80 * length, 0.26 * d),
            ]
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
        upper, lower = (
            spline(upper, closed=False, samples=4),
            spline(lower, closed=False, samples=4),
        )
        return self.beak_frame(np.concatenate([upper, lower])), self.beak_frame(line)

    def crest(self):
        """Outline of the crest: three pointed feathers."""
        p = self.part_scale
        front = spline(
            [(0.62, -0.70), (0.36, -1.02), (-0.10, -1.36), (-0.86, -1.74)], closed=False, samples=4
        )
        rear = [
            (-0.58, -1.30),
            (-1.22, -1.36),
            (-0.84, -0.96),
            (-1.34, -0.88),
            (-0.86, -0.60),
            (-0.2, -0.5),
        ]
        root = np.array([-0.1, -0.7])
        return self.head(root + (np.concatenate([front, rear]) - root) * p)

    def crown(self):
        """The region that the crown's code speaks of (it reaches beyond the head and is clipped to
        it).
        """
        low = 0.10 * (self.part_scale - 1)
        return self.head(
            spline(
                [
                    (0.98, -0.36 + low),
                    (0.35, -0.42 + low),
                    (-0.35, -0.30 + low),
                    (-0.98, 0.10 + low),
                    (-1.3, -0.5),
                    (-0.7, -1.25),
                    (0.4, -1.25),
                    (1.1, -0.8),
                ],
                samples=4,
            )
        )

    def breast(self):
        """The region of the breast's code (clipped to the body)."""
        d = self.depth
        return self.body(
            spline(
                [
                    (0.66, -0.22 * d),
                    (0.34, -0.20 * d),
                    (0.16, 0.05 * d),
                    (0.02, 0.36 * d),
                    (0.04, 0.64 * d),
                    (0.40, 0.62 * d),
                    (0.68, 0.28 * d),
                ],
                samples=4,
            )
        )

    def tail_outline(self):
        if self.species.code("tail") == "fork":
            cut = 1 - 0.34 * min(self.part_scale, 2)
            return self.tail(
                [0, 0.5, 0.9, 1.04, 0.98, cut, 0.98, 1.04, 0.9, 0.5, 0],
                [-1, -1, -1.2, -1.5, -0.7, 0, 0.7, 1.5, 1.2, 1, 1],
            )
        return self.tail(
            [0, 0.5, 0.93, 0.99, 1.01, 0.99, 0.93, 0.5, 0], [-1, -1, -1, -0.6, 0, 0.6, 1, 1, 1]
        )

    def extent(self):
        """Points that bound the bird, (N, 2), whatever its codes: its size in the picture must not
        depend on them.
        """
        ends = [self.beak_frame([(self.shape.beak, 0)]), self.tail([1.0, 1.0], [-1, 1])]
        return np.concatenate(
            [self.outline, self.head_outline, *ends] + [leg[-1:] + [0, 0.02] for leg in self.legs]
        )

    def place(self, points):
        """The frame of the upright bird to picture coordinates (fractions of the side)."""
        return np.asarray(points) @ self.matrix.T + self.shift

    @property
    def unit(self):
        """The body's length in the picture, a fraction of the side."""
        return float(np.sqrt(abs(np.linalg.det(self.matrix))))

    def points(self):
        """Name -> (point in the picture, the classes it may lie on) for ``Scene.parts``."""
        d, s = self.depth, self.species
        beak = self.beak()[0]
        coded = {
            "beak": (beak.mean(0) + self.beak_frame((0, 0))) / 2,
            "crown": self.head((-0.25, -0.74)),
            "eye": self.head((0.36, -0.14)),
            "wing": self.wing(0.32, 0.0),
            "breast": self.body((0.36, 0.12 * d)),
            "tail": self.tail(0.82, -0.45),
        }
        found = {name: (point, {CLASS[f"{name}:{s.code(name)}"]}) for name, point in coded.items()}
        found["back"] = (
            self.body((-0.05, -0.38 * d)),
            {CLASS["body"], CLASS[f"wing:{s.code('wing')}"]},
        )
        found["belly"] = self.body((-0.06, 0.38 * d)), {CLASS["body"]}
        found["nape"] = self.head((-0.75, 0.25)), {CLASS["body"], CLASS["head"]}
        found["leg"] = (self.legs[1][1] + self.legs[1][2]) / 2, {CLASS["leg"]}
        return {name: (self.place(point), classes) for name, (point, classes) in found.items()}
