"""The birds of SketchBirds: 20 species in 5 genera, and as many invented others as pretraining asks
for.

A genus is a body shape and a palette. A species is a genus with one code for each of six small
parts. Species of one genus look alike but for one or two of these codes, so the part IS the label;
the same codes return in other genera, so no part is a label on its own.
"""

from colorsys import hsv_to_rgb
from dataclasses import dataclass

import numpy as np

from ..support.errors import InputError, check_number, unknown_name

PART_CODES = {
    "beak": ("cone", "hooked", "dagger", "curved"),
    "crown": ("plain", "cap", "crest", "stripe"),
    "eye": ("plain", "thin ring", "bold ring"),
    "wing": ("plain", "one bar", "two bars"),
    "breast": ("plain", "spots", "streaks", "band"),
    "tail": ("plain", "pale tip", "fork", "banded"),
}
"""Part -> its codes. These six parts are what species differ in."""

PART_CLASSES = ["background", "body", "head", "leg"] + [
    f"{part}:{code}" for part, codes in PART_CODES.items() for code in codes
]
"""Names of the classes of a part map (4 plain, 22 ``part:code``); index = value in the map."""

PART_NAMES = ["beak", "crown", "eye", "wing", "breast", "tail", "back", "belly", "nape", "leg"]
"""The points of ``Scene.parts`` and of ``parts/parts.txt``, the six coding parts first."""


@dataclass(frozen=True)
class Shape:
    """Proportions of a genus; lengths in units of the body's length, angles in degrees."""

    depth: float = 0.52  # body depth
    head: float = 0.20  # head radius
    neck: float = 0.22  # neck length
    neck_angle: float = 45  # of the neck above the horizontal
    beak: float = 0.22  # beak length
    beak_depth: float = 0.12  # beak depth at its base
    leg: float = 0.26  # visible length of the legs
    tail: float = 0.45  # tail length
    tail_width: float = 0.16
    wing: float = 0.92  # length of the folded wing
    posture: float = 20  # tilt of the body, 0 = horizontal
    eye: float = 0.045  # eye radius


@dataclass(frozen=True)
class Palette:
    """Plumage of a genus, RGB 0 to 255."""

    back: tuple
    belly: tuple
    breast: tuple
    head: tuple
    wing: tuple
    tail: tuple
    crown: tuple  # cap, crest and stripe
    mark: tuple  # spots, streaks and band of the breast, bands of the tail
    pale: tuple  # wing bars, eye rings, tail tips
    beak: tuple
    leg: tuple


@dataclass(frozen=True)
class Genus:
    name: str
    shape: Shape
    palette: Palette


@dataclass(frozen=True)
class Species:
    """One species: ``codes`` maps each part of ``PART_CODES`` to its code, as a tuple of pairs."""

    name: str
    genus: Genus
    codes: tuple
    index: int = -1

    def code(self, part):
        """The code of a part, such as ``species.code("beak") == "hooked"``."""
        return dict(self.codes)[part]

    def differs_from(self, other):
        """The parts whose codes differ between two species, in the order of ``PART_CODES``."""
        return [part for part in PART_CODES if self.code(part) != other.code(part)]


PIPIT = Genus(
    "Marsh Pipit",
    Shape(
        depth=0.50,
        head=0.185,
        neck=0.20,
        neck_angle=42,
        beak=0.17,
        beak_depth=0.085,
        leg=0.27,
        tail=0.50,
        tail_width=0.15,
        posture=22,
        wing=0.90,
    ),
    Palette(
        back=(140, 112, 78),
        belly=(240, 228, 200),
        breast=(232, 207, 160),
        head=(160, 130, 92),
        wing=(108, 84, 58),
        tail=(98, 76, 54),
        crown=(92, 52, 30),
        mark=(74, 48, 30),
        pale=(250, 244, 222),
        beak=(88, 70, 58),
        leg=(196, 130, 98),
    ),
)
LONGSHANK = Genus(
    "Longshank",
    Shape(
        depth=0.46,
        head=0.145,
        neck=0.46,
        neck_angle=62,
        beak=0.36,
        beak_depth=0.075,
        leg=0.74,
        tail=0.26,
        tail_width=0.14,
        posture=12,
        wing=0.96,
        eye=0.038,
    ),
    Palette(
        back=(116, 130, 142),
        belly=(246, 244, 238),
        breast=(224, 222, 214),
        head=(214, 214, 208),
        wing=(84, 98, 112),
        tail=(96, 108, 120),
        crown=(42, 44, 54),
        mark=(168, 84, 52),
        pale=(250, 250, 246),
        beak=(70, 56, 56),
        leg=(222, 106, 68),
    ),
)
HALCYON = Genus(
    "River Halcyon",
    Shape(
        depth=0.58,
        head=0.265,
        neck=0.22,
        neck_angle=66,
        beak=0.38,
        beak_depth=0.125,
        leg=0.13,
        tail=0.28,
        tail_width=0.15,
        posture=48,
        wing=0.84,
        eye=0.052,
    ),
    Palette(
        back=(38, 138, 158),
        belly=(238, 160, 84),
        breast=(246, 196, 128),
        head=(52, 156, 172),
        wing=(26, 92, 128),
        tail=(24, 84, 120),
        crown=(20, 46, 96),
        mark=(150, 58, 34),
        pale=(240, 250, 248),
        beak=(196, 62, 42),
        leg=(206, 76, 54),
    ),
)
WAGTAIL = Genus(
    "Meadow Wagtail",
    Shape(
        depth=0.40,
        head=0.155,
        neck=0.17,
        neck_angle=34,
        beak=0.17,
        beak_depth=0.075,
        leg=0.34,
        tail=0.86,
        tail_width=0.15,
        posture=12,
        wing=0.84,
        eye=0.040,
    ),
    Palette(
        back=(124, 140, 78),
        belly=(250, 230, 108),
        breast=(250, 216, 64),
        head=(186, 188, 104),
        wing=(78, 84, 62),
        tail=(70, 74, 62),
        crown=(54, 66, 62),
        mark=(44, 46, 44),
        pale=(252, 250, 232),
        beak=(52, 50, 50),
        leg=(70, 58, 54),
    ),
)
GROSBEAK = Genus(
    "Thicket Grosbeak",
    Shape(
        depth=0.64,
        head=0.245,
        neck=0.17,
        neck_angle=48,
        beak=0.21,
        beak_depth=0.20,
        leg=0.20,
        tail=0.38,
        tail_width=0.19,
        posture=32,
        wing=0.80,
        eye=0.048,
    ),
    Palette(
        back=(150, 70, 72),
        belly=(236, 196, 186),
        breast=(222, 128, 116),
        head=(196, 84, 80),
        wing=(92, 58, 66),
        tail=(84, 54, 62),
        crown=(70, 28, 44),
        mark=(96, 32, 44),
        pale=(252, 240, 226),
        beak=(226, 190, 120),
        leg=(150, 104, 88),
    ),
)

GENERA = [PIPIT, LONGSHANK, HALCYON, WAGTAIL, GROSBEAK]


# name, genus, codes in the order of PART_CODES
_TABLE = [
    ("Common Marsh Pipit", PIPIT, "dagger/plain/thin ring/one bar/streaks/plain"),
    ("Crested Marsh Pipit", PIPIT, "dagger/crest/thin ring/one bar/streaks/plain"),
    ("Spotted Marsh Pipit", PIPIT, "dagger/plain/thin ring/one bar/spots/plain"),
    ("Fork-tailed Marsh Pipit", PIPIT, "dagger/plain/thin ring/one bar/streaks/fork"),
    ("Plain Longshank", LONGSHANK, "dagger/cap/plain/plain/plain/plain"),
    ("Curve-billed Longshank", LONGSHANK, "curved/cap/plain/plain/plain/plain"),
    ("Banded Longshank", LONGSHANK, "dagger/cap/plain/plain/band/plain"),
    ("Bare-crowned Longshank", LONGSHANK, "dagger/plain/plain/plain/plain/plain"),
    ("Common River Halcyon", HALCYON, "dagger/stripe/plain/plain/band/plain"),
    ("Capped River Halcyon", HALCYON, "dagger/cap/plain/plain/band/plain"),
    ("Two-barred River Halcyon", HALCYON, "dagger/stripe/plain/two bars/band/plain"),
    ("Hook-billed River Halcyon", HALCYON, "hooked/stripe/plain/plain/band/plain"),
    ("Ladder-tailed Meadow Wagtail", WAGTAIL, "curved/cap/plain/two bars/plain/banded"),
    ("Candle-tailed Meadow Wagtail", WAGTAIL, "curved/cap/plain/two bars/plain/pale tip"),
    ("Spot-breasted Meadow Wagtail", WAGTAIL, "curved/cap/plain/two bars/spots/banded"),
    ("Smooth-winged Meadow Wagtail", WAGTAIL, "curved/cap/plain/plain/plain/banded"),
    ("Spectacled Thicket Grosbeak", GROSBEAK, "cone/plain/bold ring/one bar/plain/pale tip"),
    ("Dark-eyed Thicket Grosbeak", GROSBEAK, "cone/plain/plain/one bar/plain/pale tip"),
    ("Parrot-billed Thicket Grosbeak", GROSBEAK, "hooked/plain/bold ring/one bar/plain/pale tip"),
    ("Tufted Thicket Grosbeak", GROSBEAK, "cone/crest/bold ring/one bar/plain/pale tip"),
]

SPECIES = [
    Species(name, genus, tuple(zip(PART_CODES, codes.split("/"), strict=True)), index)
    for index, (name, genus, codes) in enumerate(_TABLE)
]
"""The 20 species of SketchBirds; position = label."""


def find_species(species):
    """The ``Species`` for an index (0 to 19), a name (case does not matter) or a ``Species``.

    Raises:
        InputError: no such index or name, or another type.
    """
    if isinstance(species, Species):
        return species
    if isinstance(species, (int, np.integer)) and not isinstance(species, bool):
        if not 0 <= species < len(SPECIES):
            raise InputError(
                f"species index {species} is out of range; accepted: 0 to {len(SPECIES) - 1}."
            )
        return SPECIES[species]
    if isinstance(species, str):
        wanted = species.strip().lower().replace("_", " ")
        for one in SPECIES:
            if one.name.lower() == wanted:
                return one
        raise unknown_name("species", species, [one.name for one in SPECIES])
    raise InputError(
        f"species must be an index, a name or a Species, not {type(species).__name__}."
    )


def _colour(hue, saturation, value):
    return tuple(
        int(round(255 * c))
        for c in hsv_to_rgb(hue % 1, float(np.clip(saturation, 0, 1)), float(np.clip(value, 0, 1)))
    )


def _random_genus(rng, number):
    """A genus drawn at random within the limits that keep a bird a bird and its marks visible."""
    u = rng.uniform
    shape = Shape(
        depth=u(0.38, 0.66),
        head=u(0.14, 0.27),
        neck=u(0.15, 0.42),
        neck_angle=u(32, 68),
        beak=u(0.16, 0.38),
        beak_depth=u(0.07, 0.19),
        leg=u(0.13, 0.70),
        tail=u(0.25, 0.85),
        tail_width=u(0.13, 0.20),
        wing=u(0.78, 0.97),
        posture=u(8, 50),
        eye=u(0.038, 0.052),
    )
    hue, second = u(), u()
    back_value = u(0.42, 0.72)
    crown = _colour(second, u(0.3, 0.8), u(0.15, 0.35))
    mark = _colour(u(), u(0.2, 0.8), u(0.15, 0.45))
    palette = Palette(
        back=_colour(hue, u(0.15, 0.7), back_value),
        belly=_colour(second, u(0.03, 0.55), u(0.88, 0.99)),
        breast=_colour(second + u(-0.05, 0.05), u(0.08, 0.55), u(0.82, 0.98)),
        head=_colour(hue + u(-0.08, 0.08), u(0.1, 0.7), u(0.58, 0.85)),
        wing=_colour(hue + u(-0.06, 0.06), u(0.15, 0.75), back_value * u(0.62, 0.8)),
        tail=_colour(hue + u(-0.06, 0.06), u(0.15, 0.7), back_value * u(0.58, 0.8)),
        crown=crown,
        mark=mark,
        pale=_colour(u(0.08, 0.17), u(0, 0.14), u(0.95, 1)),
        beak=_colour(u(0, 0.14), u(0.1, 0.8), u(0.25, 0.9)),
        leg=_colour(u(0, 0.12), u(0.15, 0.75), u(0.3, 0.9)),
    )
    return Genus(f"Invented Genus {number}", shape, palette)


def pretraining_species(count=100, seed=0, per_genus=4):
    """Species for pretraining, other than the 20: new genera (shape and palette at random) with
    random codes.

    No genus of the 20 occurs among them, and no whole set of six codes of the 20 either.

    Args:
        count: how many species.
        seed: another seed gives other species.
        per_genus: species that share a genus; they differ in at least one code.

    Returns:
        list of ``Species``; position = label.
    """
    check_number("count", count, 1, whole=True)
    check_number("per_genus", per_genus, 1, 200, whole=True)
    rng = np.random.default_rng([20240, int(seed)])
    taken_by_the_20 = {species.codes for species in SPECIES}
    found = []
    while len(found) < count:
        genus = _random_genus(rng, len(found) // per_genus + 1)
        used = set()
        while len(used) < per_genus and len(found) < count:
            codes = tuple(
                (part, options[rng.integers(len(options))]) for part, options in PART_CODES.items()
            )
            if codes in used or codes in taken_by_the_20:
                continue
            used.add(codes)
            found.append(Species(f"Invented Bird {len(found) + 1}", genus, codes, len(found)))
    return found
