"""The renderer of SketchBirds: birds drawn in scenes, with everything known about them
(`scene.render`).

From low to high: `drawing` (a canvas), `species` (what there is to draw), `bird` (its outline in a
pose), `plumage` (its colours and marks), `things` and `backgrounds` around it, and `scene`, which
puts them together.
"""

from .scene import VERSION, Scene, contact_sheet, render
from .species import PART_CLASSES, SPECIES, Species, pretraining_species

__all__ = [
    "PART_CLASSES",
    "SPECIES",
    "VERSION",
    "Scene",
    "Species",
    "contact_sheet",
    "pretraining_species",
    "render",
]
