"""SketchBirds, the drawn data set of this tutorial: the layout of CUB, and truth that no photograph has."""

from .cub import CUB200
from .tables import Problems, read_rows


class SketchBirds(CUB200):
    """20 drawn species in 5 genera, 30 training and 30 test images each; needs no root.

    Args:
        split: ``"train"``, ``"test"`` or ``"all"``.
        transform: applied to the PIL image.
        root: a folder of other drawings in the same layout; the embedded ones if not given.
    """

    name = "sketchbirds"
    published = (600, 600, 20)
    home = "It is drawn by: python -m mgff_tutorial render."

    def __init__(self, split="train", transform=None, root=None):
        if root is None:
            from ..sketchbirds import ensure_sketchbirds
            root = ensure_sketchbirds()
        super().__init__(root, split, transform)

    def table(self, name):
        """Rows of one of the extra text files (``"genera"``, ``"part_codes"``) as lists of str."""
        problems = Problems()
        rows = [line.split() for _, (line,) in read_rows(self.root / f"{name}.txt", ["row"], problems, rest=True)]
        problems.refuse(self.name)
        return rows
