"""NABirds (Van Horn et al., 2015): 48,562 photographs of 555 visual categories of North American
birds.

The layout is CUB's with image ids that are UUIDs, class ids with gaps, and three more files: the
hierarchy, the image sizes and the photographers.
"""

from pathlib import Path

from .base import Annotations
from .cub import CUB200, read_classes, read_cub
from .tables import Problems, numbers, read_mapping


class NABirds(CUB200):
    """NABirds from its original tree, or a part of it; see `ImageDataset`.

    classes.txt lists 1,011 nodes of a tree of orders, species, sexes and ages. Images belong to 555
    of them, the
    leaves: these are ``classes``.

    Attributes (besides those of `ImageDataset`):
        class_ids: id of each class in classes.txt, as str.
        node_names: dict node id -> name, inner nodes too.
        hierarchy: dict node id -> id of its parent.
    """

    class_ids: list[str]
    node_names: dict[str, str]
    hierarchy: dict[str, str]

    name = "nabirds"
    published = (23929, 24633, 555)
    home = "NABirds is at https://dl.allaboutbirds.org/nabirds (see data/README.md)."

    @staticmethod
    def read(root: Path, problems: Problems) -> Annotations:
        return read_nabirds(root, problems)

    @classmethod
    def check_read(cls, root: Path, problems: Problems) -> Annotations:
        found = super().check_read(root, problems)
        read_photographers(root, problems)
        return found

    @property
    def photographers(self) -> list[str]:
        """Name of the photographer of each image ("" where none is given), from
        photographers.txt.
        """
        names = read_photographers(self.root, Problems())
        return [names.get(key, "") for key in self.ids]


def read_nabirds(root, problems):
    """`Annotations` of a tree of NABirds, with the nodes that have images as classes."""
    found = read_cub(root, problems)
    nodes, label_of = read_classes(root / "classes.txt", Problems())
    ids = list(label_of)
    used = sorted(set(found.labels))
    rank = {node: label for label, node in enumerate(used)}
    found.labels = [rank[node] for node in found.labels]
    found.classes = [nodes[node] for node in used]
    found.sizes = read_sizes(root, found.ids, problems)
    class_ids = [ids[node] for node in used]
    hierarchy = read_hierarchy(root, dict(zip(ids, nodes)), problems)
    for parent in sorted(set(hierarchy.values()) & set(class_ids), key=int):
        problems.note(
            root / "hierarchy.txt",
            None,
            f"class {parent} has images and is the parent of other classes",
        )
    found.extras = {
        "class_ids": class_ids,
        "node_names": dict(zip(ids, nodes)),
        "hierarchy": hierarchy,
    }
    return found


def read_hierarchy(root, names, problems):
    """hierarchy.txt as dict child id -> parent id, without loops; empty if there is no such
    file.
    """
    path = root / "hierarchy.txt"
    if not path.exists():
        return {}
    parents, lines = read_mapping(path, ["class_id", "parent_id"], problems)
    for child, parent in list(parents.items()):
        unknown = [node for node in (child, parent) if node not in names]
        if unknown:
            problems.add(path, lines[child], f"class {unknown[0]} is not in classes.txt")
            del parents[child]
    for start in list(parents):
        seen, node = {start}, parents.get(start)
        while node is not None and node not in seen:
            seen.add(node)
            node = parents.get(node)
        if node is not None:
            problems.add(path, lines[start], f"class {start} is below itself")
            del parents[start]
    return parents


def read_photographers(root, problems):
    """photographers.txt as dict image id -> name; empty if there is no such file."""
    path = root / "photographers.txt"
    columns = ["image_id", "name"]
    return read_mapping(path, columns, problems, rest=True)[0] if path.exists() else {}


def read_sizes(root, ids, problems):
    """sizes.txt as a list of (width, height) for the images ``ids``, None for an image without;
    None without a file.
    """
    path = root / "sizes.txt"
    if not path.exists():
        return None
    sizes, _ = read_mapping(path, ["image_id", "width", "height"], problems, _size)
    return [sizes.get(key) for key in ids]


def _size(fields):
    width, height = numbers(fields, "image size")
    if width < 1 or height < 1:
        raise ValueError(f"the image size is {width:g} x {height:g}")
    return int(width), int(height)
