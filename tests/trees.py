"""Tiny data sets in every layout, written from scratch for the tests of readers and of
`data check`.
"""

import numpy as np
from PIL import Image

COLOURS = ["red", "green", "blue", "orange", "purple", "teal"]


def picture(path, size=(40, 30), colour="red", **save):
    """Write a picture of one colour with a white corner at the top left."""
    image = Image.new("RGB", size, colour)
    image.paste("white", (0, 0, size[0] // 4, size[1] // 4))
    path.parent.mkdir(parents=True, exist_ok=True)
    image.save(path, **save)
    return path


def write(path, *lines, end="\n"):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes((end.join(str(line) for line in lines) + end).encode())
    return path


def cub_tree(root, classes=3, per_class=4, first_image=1, first_class=1, end="\n", parts=True):
    """A tree in the layout of CUB-200-2011; images of odd number within a class are for
    training.
    """
    rows = []
    for c in range(classes):
        name = f"{first_class + c:03d}.Bird_{c}"
        for k in range(per_class):
            rows.append(
                (first_image + len(rows), first_class + c, f"{name}/{name[4:]}_{k}.jpg", 1 - k % 2)
            )
            picture(root / "images" / rows[-1][2], colour=COLOURS[c % 6])
    write(root / "images.txt", *(f"{i} {path}" for i, _, path, _ in rows), end=end)
    write(
        root / "classes.txt",
        *(f"{first_class + c} {first_class + c:03d}.Bird_{c}" for c in range(classes)),
        end=end,
    )
    write(root / "image_class_labels.txt", *(f"{i} {c}" for i, c, _, _ in rows), end=end)
    write(root / "train_test_split.txt", *(f"{i} {t}" for i, _, _, t in rows), end=end)
    write(root / "bounding_boxes.txt", *(f"{i} 4.0 3.0 20.0 12.0" for i, *_ in rows), end=end)
    if parts:
        write(root / "parts" / "parts.txt", "1 beak", "2 left eye", end=end)
        write(
            root / "parts" / "part_locs.txt",
            *(line for i, *_ in rows for line in (f"{i} 1 10.0 5.0 1", f"{i} 2 0.0 0.0 0")),
            end=end,
        )
    return root


def class_folders(root, classes=("ant", "bee", "cat"), per_class=4):
    for c, name in enumerate(classes):
        for k in range(per_class):
            picture(root / name / f"{k}.jpg", colour=COLOURS[c])
    return root


def noise(path, size=(40, 30), seed=0, **save):
    """Write a picture of random pixels, so that truncation cuts into real data."""
    path.parent.mkdir(parents=True, exist_ok=True)
    pixels = np.random.default_rng(seed).integers(0, 256, (size[1], size[0], 3), dtype=np.uint8)
    Image.fromarray(pixels).save(path, **save)
    return path


def cars_struct(names, name_field="fname", labels=None, tests=None):
    """The struct array ``annotations`` of Stanford Cars."""
    kinds = [("bbox_x1", "O"), ("bbox_y1", "O"), ("bbox_x2", "O"), ("bbox_y2", "O")]
    kinds += [("class", "O")] if labels else []
    rows = np.zeros(
        (1, len(names)), dtype=kinds + [(name_field, "O")] + ([("test", "O")] if tests else [])
    )
    for i, name in enumerate(names):
        row = (
            [3.0, 4.0, 30.0, 20.0]
            + ([float(labels[i])] if labels else [])
            + [name]
            + ([tests[i]] if tests else [])
        )
        rows[0, i] = tuple(row)
    return rows


CARS = ["AM General Hummer SUV 2000", "Ram C/V Cargo Van Minivan 2012"]


def cars_devkit(root, labelled="devkit", devkit="devkit", nested=False):
    """cars_train/, cars_test/ and devkit/; ``labelled`` is where the file with test labels goes,
    None for nowhere.
    """
    from scipy.io import savemat

    names = [f"{i:05d}.jpg" for i in range(1, 5)]
    for half in ("cars_train", "cars_test"):
        for i, name in enumerate(names):
            picture((root / half / half if nested else root / half) / name, colour=COLOURS[i % 2])
    devkit = root / devkit
    devkit.mkdir(parents=True, exist_ok=True)
    classes = np.empty((1, 2), dtype=object)
    classes[0, :] = CARS
    savemat(devkit / "cars_meta.mat", {"class_names": classes})
    savemat(
        devkit / "cars_train_annos.mat", {"annotations": cars_struct(names, labels=[1, 2, 1, 2])}
    )
    savemat(devkit / "cars_test_annos.mat", {"annotations": cars_struct(names)})
    if labelled is not None:
        savemat(
            root / labelled / "cars_test_annos_withlabels.mat",
            {"annotations": cars_struct(names, labels=[1, 2, 1, 2])},
        )
    return root


def cars_single(root):
    """cars_annos.mat and car_ims/."""
    from scipy.io import savemat

    names = [f"car_ims/{i:06d}.jpg" for i in range(1, 7)]
    for i, name in enumerate(names):
        picture(root / name, colour=COLOURS[i % 2])
    classes = np.empty((1, 2), dtype=object)
    classes[0, :] = CARS
    savemat(
        root / "cars_annos.mat",
        {
            "class_names": classes,
            "annotations": cars_struct(
                names, "relative_im_path", labels=[1, 2, 1, 2, 1, 2], tests=[0, 0, 0, 0, 1, 1]
            ),
        },
    )
    return root


PETS = [("Abyssinian", 1, 1), ("american_bulldog", 2, 2), ("Bengal", 3, 1)]


def pets_tree(root, per_class=4):
    """images/, annotations/ with list.txt, trainval.txt, test.txt and xmls/."""
    rows = {True: [], False: []}
    for breed, class_id, species in PETS:
        for k in range(1, per_class + 1):
            name = f"{breed}_{k}"
            picture(root / "images" / f"{name}.jpg", colour=COLOURS[class_id])
            rows[k % 2 == 1].append(f"{name} {class_id} {species} {class_id}")
            if k % 2:
                write(root / "annotations" / "xmls" / f"{name}.xml", pets_xml(name, (5, 6, 17, 18)))
    write(root / "annotations" / "trainval.txt", *rows[True])
    write(root / "annotations" / "test.txt", *rows[False])
    write(
        root / "annotations" / "list.txt",
        "#Image CLASS-ID SPECIES BREED ID",
        "#ID: 1:37 Class ids",
        *rows[True],
        *rows[False],
    )
    return root


def pets_xml(name, box, size=(40, 30)):
    x0, y0, x1, y1 = box
    return (
        f"<annotation><filename>{name}.jpg</filename><size><width>{size[0]}</width><height>{size[1]}</height>"
        f"<depth>3</depth></size><object><name>cat</name><bndbox><xmin>{x0}</xmin><ymin>{y0}</ymin>"
        f"<xmax>{x1}</xmax><ymax>{y1}</ymax></bndbox></object></annotation>"
    )


def nabirds_tree(root):
    """UUID ids, class ids with gaps, a hierarchy with inner nodes, sizes and photographers."""
    nodes = {
        0: "Birds",
        1: "Ducks, Geese, and Swans",
        295: "Mallard (Female)",
        296: "Mallard (Male)",
        1010: "Oak Titmouse",
    }
    rows = []
    for i in range(12):
        hexes = f"{i:08x}21dc4d0cbfe14cae3c85c829"
        uuid = "-".join([hexes[:8], hexes[8:12], hexes[12:16], hexes[16:20], hexes[20:]])
        class_id = (296, 295, 1010)[i % 3]
        rows.append((uuid, class_id, f"{class_id:04d}/{hexes}.jpg", i // 3 % 2))
        picture(root / "images" / rows[-1][2], colour=COLOURS[i % 3])
    write(root / "images.txt", *(f"{u} {path}" for u, _, path, _ in rows))
    write(root / "image_class_labels.txt", *(f"{u} {c}" for u, c, _, _ in rows))
    write(root / "train_test_split.txt", *(f"{u} {t}" for u, _, _, t in rows))
    write(root / "bounding_boxes.txt", *(f"{u} 4 3 20 12" for u, *_ in rows))
    write(root / "sizes.txt", *(f"{u} 40 30" for u, *_ in rows))
    write(root / "photographers.txt", *(f"{u} Ana María {i}" for i, (u, *_) in enumerate(rows)))
    write(root / "classes.txt", *(f"{i} {name}" for i, name in nodes.items()))
    write(root / "hierarchy.txt", "1 0", "295 1", "296 1", "1010 0")
    write(root / "parts" / "parts.txt", "0 bill", "1 crown")
    write(
        root / "parts" / "part_locs.txt",
        *(line for u, *_ in rows for line in (f"{u} 0 7 8 1", f"{u} 1 -1 -1 0")),
    )
    return root
