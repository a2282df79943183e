"""The renderer of SketchBirds: birds drawn in scenes, with everything known about them
(`scene.render`).

From low to high: `drawing` (a canvas), `species` (what there is to draw), `bird` (its outline in a
pose), `plumage` (its colours and marks), `backgrounds`, and `scene`, which puts them together.
"""

from .scene import PART_CLASSES, SPECIES, VERSION, Scene, Species, pretraining_species, render

__all__ = [
    "PART_CLASSES",
    "SPECIES",
    "VERSION",
    "Scene",
    "Species",
    "pretraining_species",
    "render",
]
