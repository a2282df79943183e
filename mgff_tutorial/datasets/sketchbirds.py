"""SketchBirds, the drawn data set of this tutorial: the layout of CUB, and truth that no photograph
has.
"""

from ..support.errors import DataError
from .base import Folder, Transform
from .cub import CUB200, read_classes
from .tables import Problems, read_rows


class SketchBirds(CUB200):
    """20 drawn species in 5 genera, 30 training and 30 test images each; needs no root.

    Args:
        split: ``"train"``, ``"test"`` or ``"all"``.
        transform: applied to the PIL image.
        root: a folder of other drawings in the same layout; the embedded ones if not given.
        training_images: of each species, up to 1,000: a larger training set (or a smaller one),
            whose first 30 are the usual ones. Drawn into the cache folder on first use (a minute
            for 2,400); the test images stay the same.
    """

    name = "sketchbirds"
    published = (600, 600, 20)
    home = "It is drawn by: python -m mgff_tutorial render."

    def __init__(
        self,
        split: str = "train",
        transform: Transform | None = None,
        root: Folder | None = None,
        training_images: int = 30,
    ) -> None:
        if root is None:
            from ..renderer.dataset import ensure_sketchbirds

            root = ensure_sketchbirds(training_images)
        self.published = (20 * training_images, *SketchBirds.published[1:])
        super().__init__(root, split, transform)

    @property
    def genera(self) -> list[str]:
        """Genus of each class, as text."""
        return [
            readable(genus)
            for _, (_, _, genus) in self._rows("genera.txt", ["class_id", "genus_id", "genus"])
        ]

    @property
    def part_codes(self) -> list[dict[str, str]]:
        """For each class, a dict of part name -> code: what that part looks like in this
        species.
        """
        labels = read_classes(self.root / "classes.txt", Problems())[1]
        columns = read_classes(self.root / "parts" / "parts.txt", Problems())[1]
        codes: list[dict[str, str]] = [{} for _ in self.classes]
        for line, (class_id, part_id, code) in self._rows(
            "part_codes.txt", ["class_id", "part_id", "code"]
        ):
            if class_id not in labels or part_id not in columns:
                raise DataError(
                    f"{self.root / 'part_codes.txt'}:{line}: class {class_id} or part {part_id} "
                    f"is not listed."
                )
            codes[labels[class_id]][self.part_names[columns[part_id]]] = readable(code)
        return codes

    def differing_parts(self, first: int, second: int) -> list[str]:
        """Names of the parts in which two classes (labels) differ, in the order of
        ``part_names``.
        """
        codes = self.part_codes
        return [part for part, code in codes[first].items() if codes[second][part] != code]

    def _rows(self, file, columns):
        read = lambda problems: list(read_rows(self.root / file, columns, problems))
        return self._sound(read)


def readable(name: str) -> str:
    return name.replace("_", " ")
