"""Figures of data sets: contact sheets, annotations, which parts decide, what a transform does to
image and box.
"""

import matplotlib.pyplot as plt
import numpy as np

from ..datasets import readable_name
from ..datasets.transforms import box_to_input, denormalise, eval_transform
from .style import (
    BLUE,
    ORANGE,
    RED,
    frame,
    frame_groups,
    name_cells,
    panels,
    show_image,
    write_cells,
)


def draw_sheet(images, titles, columns=6, boxes=None, size=(1.9, 2.15)):
    """A contact sheet.

    Args:
        images: PIL images. titles: one str each.
        columns: images in a row.
        boxes: xyxy pixels for each image, or None.
        size: of a panel in inches.

    Returns:
        the matplotlib figure.
    """
    figure, axes = panels(len(images), columns, size=size)
    for i, ax in enumerate(axes):
        show_image(ax, images[i], titles[i], None if boxes is None else boxes[i], smooth=True)
        ax.title.set_fontsize(8)
    return figure


def draw_genera(dataset):
    """One row for each genus of SketchBirds, one picture (the first with a large bird) for each
    species.
    """
    groups = {
        genus: [label for label, other in enumerate(dataset.genera) if other == genus]
        for genus in dict.fromkeys(dataset.genera)
    }
    columns = max(map(len, groups.values()))
    figure, axes = plt.subplots(
        len(groups),
        columns,
        figsize=(2.15 * columns + 0.3, 2.35 * len(groups)),
        squeeze=False,
        layout="constrained",
    )
    extent = (dataset.boxes[:, 2:] - dataset.boxes[:, :2]).max(dim=1).values
    for row, (genus, labels) in zip(axes, groups.items()):
        for ax in row[len(labels) :]:
            ax.set_visible(False)
        for ax, label in zip(row, labels):
            members = [i for i, other in enumerate(dataset.labels) if other == label]
            best = max(members, key=lambda i: extent[i])
            name = readable_name(dataset.classes[label])
            show_image(ax, dataset.image(best), name.removesuffix(f" {genus}"), smooth=True)
        row[0].set_ylabel(genus, fontsize=11, labelpad=8)
    return figure


def draw_differences(dataset):
    """Matrix: in how many parts two species of SketchBirds differ; each genus is framed."""
    count = len(dataset.classes)
    codes = dataset.part_codes
    matrix = np.array(
        [
            [sum(codes[a][part] != codes[b][part] for part in codes[a]) for b in range(count)]
            for a in range(count)
        ]
    )
    figure, ax = plt.subplots(figsize=(8.2, 7.4), layout="constrained")
    picture = ax.imshow(matrix, cmap="Blues", vmin=0, vmax=matrix.max() + 1)
    dark = matrix.max() / 2
    write_cells(ax, matrix, colour=lambda n: "white" if n > dark else "black", size=7)
    names = [readable_name(name) for name in dataset.classes]
    name_cells(ax, names, fontsize=8)
    ax.tick_params(axis="x", labelrotation=90)
    frame_groups(ax, dataset.genera, -0.5)
    figure.colorbar(
        picture, ax=ax, label="parts that differ", shrink=0.6, ticks=range(matrix.max() + 1)
    )
    return figure


def draw_annotations(dataset, indices):
    """Images with their box and their visible parts (blue dots, named)."""
    figure, axes = panels(len(indices), size=(3.5, 3.7))
    for ax, index in zip(axes, indices):
        name = readable_name(dataset.classes[dataset.labels[index]])
        show_image(ax, dataset.image(index), name, dataset.boxes[index], smooth=True)
        seen = [
            (name, x, y)
            for name, (x, y, visible) in zip(dataset.part_names, dataset.parts[index].tolist())
            if visible
        ]
        middle = np.mean([(x, y) for _, x, y in seen], axis=0)
        for (
            name,
            x,
            y,
        ) in seen:  # names point away from the middle of the bird, where they hide least
            ax.plot(x, y, "o", markersize=5, color=BLUE, markeredgecolor="white")
            away = (np.array([x, y]) - middle) / max(np.hypot(*(np.array([x, y]) - middle)), 1)
            ax.annotate(
                name,
                (x, y),
                (9 * away[0], -9 * away[1] - 3),
                textcoords="offset points",
                fontsize=7,
                ha="left" if away[0] > 0 else "right",
                bbox={
                    "boxstyle": "round,pad=0.1",
                    "facecolor": "white",
                    "alpha": 0.75,
                    "linewidth": 0,
                },
            )
    return figure


def draw_transform(image, box, img_size=96, resize=128):
    """Image, resized square and centre crop, with the box at each step; axes are in pixels."""
    resized = image.resize((resize, resize))
    crop = denormalise(eval_transform(img_size, resize)(image))
    steps = [
        (image, box, f"image: {image.width} x {image.height}"),
        (resized, box_to_input(box, image.size, resize, resize), f"resized: {resize} x {resize}"),
        (
            crop,
            box_to_input(box, image.size, img_size, resize).clamp(0, img_size),
            f"centre crop: {img_size} x {img_size}",
        ),
    ]
    figure, axes = panels(3, size=(3.2, 3.5))
    for ax, (picture, corners, title) in zip(axes, steps):
        show_image(ax, picture, title, box=corners)
    margin = (resize - img_size) / 2
    frame(axes[1], margin - 0.5, margin - 0.5, img_size, img_size, "white", linestyle="--")
    return figure


def draw_object_sizes(datasets):
    """Histogram of the longer side of the box as a share of the image's side.

    Args:
        datasets: dict name -> data set with boxes and square images of one size.
    """
    figure, ax = plt.subplots(figsize=(7, 3.2), layout="constrained")
    bins = np.linspace(0, 1, 26)
    for (name, dataset), colour in zip(datasets.items(), (BLUE, ORANGE)):
        side = dataset.image(0).width
        share = (dataset.boxes[:, 2:] - dataset.boxes[:, :2]).max(dim=1).values.numpy() / side
        ax.hist(
            share,
            bins,
            histtype="step",
            linewidth=2,
            color=colour,
            label=f"{name} ({len(dataset)} images)",
        )
    ax.set(xlabel="longer side of the box / side of the image", ylabel="images")
    ax.legend(frameon=False)
    return figure


def draw_selection(chosen_on_test, chosen_on_validation, truth):
    """What the test set says of the model that was chosen on it, and of the model that was chosen
    on other images.

    Args:
        chosen_on_test, chosen_on_validation: test accuracies, one for each repetition.
        truth: the accuracy that all models really have.
    """
    figure, ax = plt.subplots(figsize=(7, 3.2), layout="constrained")
    bins = (
        np.arange(truth - 0.06, truth + 0.08, 0.005) - 0.005 / 6
    )  # three correct images of 600 in each bar
    ax.hist(chosen_on_test, bins, color=RED, alpha=0.75, label="chosen on the test images")
    ax.hist(chosen_on_validation, bins, color=BLUE, alpha=0.75, label="chosen on validation images")
    ax.axvline(
        truth, color="black", linewidth=1.5, linestyle="--", label="true accuracy of every model"
    )
    ax.set(xlabel="reported test accuracy of the chosen model", ylabel="repetitions")
    ax.legend(frameon=False, loc="upper left", fontsize=9)
    ax.set_ylim(0, ax.get_ylim()[1] * 1.25)
    return figure


def draw_orientation(stored, upright, box, turned_box):
    """The stored picture and the upright one, with the box as written, forgotten (red), and turned
    too.
    """
    widths = [stored.width, upright.width, upright.width]
    figure, axes = plt.subplots(1, 3, figsize=(10, 3.9), layout="constrained", width_ratios=widths)
    show_image(axes[0], stored, "as stored, box as written", box, smooth=True)
    show_image(axes[1], upright, "turned upright, box forgotten", box, RED, smooth=True)
    show_image(axes[2], upright, "turned upright, box turned too", turned_box, smooth=True)
    for ax in axes:
        ax.set_anchor("N")
    return figure
