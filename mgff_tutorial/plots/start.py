"""Figures of the whole system: what both looks saw of an image, and what they said."""

import numpy as np

from .style import BLUE, GREEN, GREY, RED, panels, show_image


def draw_two_stages(image, result, classes, label=None, index=0, top=4):
    """Image with box, response map, crop, and the three predictions for one image of a
    `TwoStageResult`.

    Args:
        image: the PIL image that was classified.
        result: `TwoStageResult` of a batch; ``index`` picks the image.
        classes: class names.
        label: the true class, drawn in green; None if unknown.
        top: how many classes each bar chart shows.

    Returns:
        the matplotlib figure.
    """
    pixels, box = np.asarray(image.convert("RGB")), [float(v) for v in result.boxes[index]]
    height, width = pixels.shape[:2]
    response = result.response[index, 0].cpu().numpy()
    figure, axes = panels(6, columns=3, size=(3.3, 2.9))
    show_image(axes[0], pixels, "image and box", box=box)
    show_image(axes[1], pixels, "where the ViT looks")
    axes[1].imshow(
        response,
        cmap="magma",
        alpha=0.65,
        extent=(-0.5, width - 0.5, height - 0.5, -0.5),
        interpolation="bilinear",
    )
    x0, y0, x1, y1 = (int(round(v)) for v in box)
    show_image(axes[2], pixels[y0:y1, x0:x1], "crop for the second look")
    names = ("first look: whole image", "second look: crop", "both merged")
    for ax, name, probabilities in zip(
        axes[3:], names, (result.stage1, result.stage2, result.merged)
    ):
        draw_bars(ax, probabilities[index].cpu(), classes, label, name, top)
    return figure


def draw_bars(ax, probabilities, classes, label=None, title=None, top=4):
    """The ``top`` classes of one prediction as horizontal bars; the true class is green, the others
    blue.
    """
    values, order = probabilities.topk(top)
    order = order.tolist()
    colours = [GREEN if label is not None and i == label else BLUE for i in order]
    ax.barh(range(top), values, color=colours)
    ax.set_yticks(range(top), [""] * top)
    for row, i in enumerate(order):
        ax.text(
            0.02,
            row,
            classes[i],
            va="center",
            fontsize=8.5,
            bbox={"facecolor": "white", "alpha": 0.75, "linewidth": 0, "pad": 1},
        )
    ax.set(xlim=(0, 1), xlabel="probability", title=title)
    ax.invert_yaxis()


def draw_row(images, result, classes, labels, columns=4):
    """Images with their boxes; below each what was said, green if right and red if wrong.

    Args:
        images: list of PIL images; result: their `TwoStageResult`; labels: their true classes.

    Returns:
        the matplotlib figure.
    """
    figure, axes = panels(len(images), columns, size=(2.5, 2.95))
    first, merged = result.stage1.argmax(1).tolist(), result.merged.argmax(1).tolist()
    for i, ax in enumerate(axes):
        show_image(ax, images[i].convert("RGB"), box=result.boxes[i])
        right = merged[i] == labels[i]
        ax.set_title(classes[merged[i]], color=GREEN if right else RED, fontsize=9)
        note = "" if right else f"truth: {classes[labels[i]]}"
        if right and first[i] != labels[i]:
            note = f"first look said: {classes[first[i]]}"
        ax.set_xlabel(note, fontsize=8, color=GREY)
    return figure


def draw_seen_sizes(scenes, side=96, zoom=None):
    """The same bird at several sizes as a model of input ``side`` sees it (top), and its part
    enlarged (bottom).

    Args:
        scenes: `Scene` objects of one species, drawn larger than ``side``.
        side: input side of the model in pixels.
        zoom: name of the part to enlarge, such as "eye".

    Returns:
        the matplotlib figure.
    """
    figure, axes = panels(2 * len(scenes), columns=len(scenes), size=2.5)
    for top, bottom, scene in zip(axes[: len(scenes)], axes[len(scenes) :], scenes):
        small = scene.image.resize((side, side), reducing_gap=None)
        x, y, _ = scene.parts[zoom]
        x, y = x * side / scene.image.width, y * side / scene.image.height
        half = 8
        box = (x - half, y - half, x + half, y + half)
        show_image(top, small, f"bird {scene.details['scale']:.0%} of the side", box=box)
        show_image(
            bottom, small.crop(tuple(round(v) for v in box)), f"its {zoom}, {2 * half} pixels wide"
        )
    return figure


def draw_coordinates(image, box, vit_side, side):
    """One box in the pixels of the ViT's view, of the original, and what the classifier sees of it;
    the corners are written at the edges.

    Args:
        image: PIL image, the original. box: xyxy in its pixels. vit_side: side of the ViT's square
            view. side: of the classifier's.

    Returns:
        the matplotlib figure.
    """
    wide, high = image.size
    scale = (wide / vit_side, high / vit_side) * 2
    figure, axes = panels(3, size=(3.5, 3.1))
    crop = image.crop(tuple(round(v) for v in box)).resize((side, side))
    views = (
        (image.resize((vit_side, vit_side)), [v / s for v, s in zip(box, scale)], "the ViT's view"),
        (image, box, "the original"),
        (crop, None, "the classifier's view"),
    )
    for ax, (view, corners, title) in zip(axes, views):
        show_image(ax, view, box=corners)
        ax.set_title(f"{title}: {view.width} × {view.height}")
        x0, y0, x1, y1 = corners or (0, 0, *view.size)
        ax.set_xticks([v - 0.5 for v in (x0, x1)], [f"{v:.0f}" for v in (x0, x1)])
        ax.set_yticks([v - 0.5 for v in (y0, y1)], [f"{v:.0f}" for v in (y0, y1)])
    axes[1].set_xlabel(f"x · {wide}/{vit_side},  y · {high}/{vit_side}")
    axes[2].set_xlabel("cut out of the original, resized")
    return figure
