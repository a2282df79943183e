"""Figures of notebooks 10 to 12: attention matrices, response maps, masks, boxes, crops, accuracy
curves.
"""

import numpy as np

from .style import (
    BLUE,
    GREEN,
    GREY,
    ORANGE,
    PALETTE,
    RED,
    as_array,
    draw_band,
    draw_whiskers,
    frame,
    frame_box,
    name_cells,
    overlay,
    panels,
    plt,
    show_image,
    write_cells,
)

MAP = "magma"


def mark_patch(ax, image, grid, patch, colour=GREEN):
    """A frame around the patch (row, column) of a ``grid`` of (rows, columns) on a PIL image."""
    high, wide = image.height / grid[0], image.width / grid[1]
    frame(ax, patch[1] * wide - 0.5, patch[0] * high - 0.5, wide, high, colour, 2.5)


def draw_matrix_sums(matrix, labels):
    """An attention matrix with its numbers; the sum of every row to the right, of every column
    below.

    Args:
        matrix: (N, N), rows sum to 1. labels: names of the N tokens.

    Returns:
        the matplotlib figure.
    """
    matrix = as_array(matrix)
    count = len(matrix)
    figure, (ax,) = panels(1, size=(5.2, 4.1))
    ax.imshow(matrix, cmap="Blues", vmin=0, vmax=1)
    write_cells(ax, matrix, "{:.2f}", lambda v: "white" if v > 0.55 else "black", size=10)
    for i in range(count):
        ax.text(count - 0.3, i, f"= {matrix[i].sum():.2f}", va="center", color=GREY, fontsize=11)
        ax.text(
            i,
            count - 0.25,
            f"{matrix[:, i].sum():.2f}",
            ha="center",
            va="center",
            color=ORANGE,
            fontsize=11,
            fontweight="bold",
        )
    name_cells(ax, labels)
    ax.xaxis.tick_top()
    ax.xaxis.set_label_position("top")
    ax.set(xlabel="token that is looked at", ylabel="token that asks")
    ax.set(xlim=(-0.5, count + 0.35), ylim=(count + 0.1, -0.5))
    return figure


def draw_weight_grids(images, grids, column_titles, size=1.75):
    """A table of pictures: each row an image, then its weights under each rule (or each layer).

    Args:
        images: list of PIL images. grids: for each image a list of (rows, columns) weights.
        column_titles: names of the grids; the first column is the image itself.

    Returns:
        the matplotlib figure.
    """
    columns = len(grids[0]) + 1
    figure, axes = panels(len(images) * columns, columns, size=(size, size + 0.12))
    for i, (image, maps) in enumerate(zip(images, grids)):
        row = axes[i * columns : (i + 1) * columns]
        show_image(row[0], image, "image" if i == 0 else "")
        for ax, weights, title in zip(row[1:], maps, column_titles):
            overlay(ax, image, weights, title if i == 0 else "")
        for ax in row:
            ax.title.set_fontsize(9.5)
    return figure


def draw_sorted_weights(curves, labels):
    """Weights of all patches, sorted, as multiples of the even share: how few patches draw how
    much.

    Args:
        curves: list of (N,) weights. labels: one for each.

    Returns:
        the matplotlib figure.
    """
    figure, (ax,) = panels(1, size=(6.4, 3.0))
    for values, label, colour in zip(curves, labels, PALETTE):
        values = np.sort(as_array(values).ravel())[::-1]
        ax.plot(
            np.arange(1, len(values) + 1),
            values / values.mean(),
            color=colour,
            label=label,
            linewidth=2,
        )
    ax.axhline(1, color=GREY, linewidth=1, linestyle=":")
    ax.set(xlabel="patches, sorted by weight", ylabel="weight / mean weight")
    ax.legend(frameon=False)
    return figure


def draw_affinity(image, patches, rows, cut):
    """What a few patches resemble, and the cut of the whole graph.

    Args:
        image: PIL image. patches: list of (row, column). rows: for each a (rows, columns) grid of
            affinities.
        cut: (rows, columns) grid.

    Returns:
        the matplotlib figure.
    """
    figure, axes = panels(len(rows) + 1, size=(2.6, 2.8))
    for ax, patch, grid in zip(axes, patches, rows):
        overlay(ax, image, grid, f"like patch {tuple(patch)}")
        mark_patch(ax, image, rows[0].shape, patch)
    overlay(axes[-1], image, cut, "cut")
    return figure


def draw_steps(image, response, mask, box, crop, truth=None):
    """Image, response map, mask, box and crop, side by side.

    Args:
        image: PIL image. response: (H, W). mask: (H, W) boolean. box: xyxy pixels. crop: PIL image
            or (3, H, W).
        truth: true box, drawn in green beside the orange one.

    Returns:
        the matplotlib figure.
    """
    figure, axes = panels(5, size=(2.25, 2.45))
    show_image(axes[0], image, "1. image")
    show_image(axes[1], image, "2. response map")
    axes[1].imshow(as_array(response), cmap=MAP, alpha=0.7)
    show_image(axes[2], image, "3. largest component")
    axes[2].imshow(
        np.where(as_array(mask) > 0.5, np.nan, 1.0), cmap="gray_r", vmin=0, vmax=1, alpha=0.78
    )
    show_image(axes[3], image, "4. box, padded", box=box)
    if truth is not None:
        frame_box(axes[3], truth, GREEN, linestyle="--")
    show_image(axes[4], crop, "5. crop, enlarged")
    return figure


def draw_masks(masks, titles):
    """Small boolean grids with visible cells.

    Args:
        masks: list of (h, w) booleans or label numbers (0 is background). titles: one for each.

    Returns:
        the matplotlib figure.
    """
    figure, axes = panels(len(masks), size=(2.5, 2.1))
    palette = np.array([(1, 1, 1), *map(plt.matplotlib.colors.to_rgb, PALETTE)])
    for ax, mask, title in zip(axes, masks, titles):
        mask = as_array(mask).astype(int)
        show_image(ax, palette[np.where(mask > 0, (mask - 1) % len(PALETTE) + 1, 0)], title)
        ax.set_xticks(np.arange(mask.shape[1] + 1) - 0.5, [])
        ax.set_yticks(np.arange(mask.shape[0] + 1) - 0.5, [])
        ax.grid(color="#cccccc", linewidth=1)
        ax.tick_params(length=0)
    return figure


def draw_views(images, titles, size=2.5, columns=None):
    """Pictures with titles, ``columns`` in a row (all in one row by default); ``size`` in inches is
    the side of a picture, or (width, height) of a panel.
    """
    size = size if isinstance(size, tuple) else (size, size + 0.2)
    figure, axes = panels(len(images), columns, size)
    for ax, image, title in zip(axes, images, titles):
        show_image(ax, image, title)
    return figure


def draw_boxes(images, boxes, truths, notes):
    """Pictures with the found box (orange) and the true one (green, dashed); ``notes`` below each.

    Returns:
        the matplotlib figure.
    """
    figure, axes = panels(len(images), columns=4, size=(2.4, 2.6))
    for i, ax in enumerate(axes):
        show_image(ax, images[i], box=boxes[i])
        frame_box(ax, truths[i], GREEN, linestyle="--")
        ax.set_xlabel(notes[i], fontsize=9)
    return figure


def draw_iou_bars(names, means, above_half):
    """Two bars for each localisation rule: mean IoU, and share of images with IoU above one half.

    Returns:
        the matplotlib figure.
    """
    figure, (ax,) = panels(1, size=(7.4, 0.5 + 0.42 * len(names)))
    places = np.arange(len(names))
    for shift, values, colour, label in (
        (-0.19, means, BLUE, "mean IoU"),
        (0.19, above_half, ORANGE, "share with IoU > 0.5"),
    ):
        bars = ax.barh(places + shift, values, 0.36, color=colour, label=label)
        ax.bar_label(bars, fmt=" {:.2f}", fontsize=8.5)
    ax.set_yticks(places, names)
    ax.invert_yaxis()
    ax.set(xlim=(0, 1.02), xticks=[])
    ax.legend(
        frameon=False, loc="upper center", bbox_to_anchor=(0.45, 1.03 + 0.45 / len(names)), ncols=2
    )
    ax.spines["bottom"].set_visible(False)
    return figure


def draw_intervals(values, curves, labels, xlabels, ylabel="accuracy"):
    """Curves with 95 % bands, one panel for each factor.

    Args:
        values: for each panel the x values. curves: for each panel a list of lists of
            `intervals.Estimate`.
        labels: names of the curves. xlabels: one for each panel.

    Returns:
        the matplotlib figure.
    """
    figure, axes = panels(len(values), size=(4.3, 3.3), sharey=True)
    for ax, x, lines, xlabel in zip(axes, values, curves, xlabels):
        for estimates, label, colour in zip(lines, labels, PALETTE):
            draw_band(ax, x, estimates, colour, label, alpha=0.16, linewidth=2)
        ax.set(xlabel=xlabel, ylim=(0, 1.02))
        ax.grid(axis="y", color="#e6e6e6")
    axes[0].set_ylabel(ylabel)
    axes[-1].legend(frameon=False, loc="best")
    return figure


def draw_differences(values, estimates, xlabels):
    """Differences of two accuracies with their 95 % intervals; above the line the second look
    helps.

    Args:
        values: for each panel the x values. estimates: for each panel a list of
            `intervals.Estimate`.

    Returns:
        the matplotlib figure.
    """
    figure, axes = panels(len(values), size=(4.3, 2.6), sharey=True)
    for ax, x, line, xlabel in zip(axes, values, estimates, xlabels):
        ax.axhline(0, color=GREY, linewidth=1)
        draw_whiskers(ax, x, line, color=BLUE, capsize=3)
        ax.set_xlabel(xlabel)
    axes[0].set_ylabel("two looks minus one look")
    return figure


def draw_weights(views, path):
    """What the weight of the second look does: loss of the first set of pictures with the way of a
    gradient, and accuracy of all sets.

    Args:
        views: dict name -> ((N, K) probabilities of the first look, of the second, (N,) labels).
        path: list of (weight, loss).

    Returns:
        the matplotlib figure.
    """
    figure, (left, right) = panels(2, size=(4.7, 3.0))
    weights = np.linspace(0, 1, 101)
    for (name, (first, second, labels)), colour in zip(views.items(), PALETTE):
        first, second = as_array(first), as_array(second)
        labels, rows = as_array(labels).astype(int), np.arange(len(first))
        merged = [(1 - w) * first + w * second for w in weights]
        if not left.lines:
            left.plot(weights, [-np.log(p[rows, labels]).mean() for p in merged], color=colour)
        shares = [(p.argmax(1) == labels).mean() for p in merged]
        right.plot(weights, shares, color=colour, label=name)
    left.plot(*zip(*path), ".", color=RED, markersize=5, label="gradient descent")
    for ax, ylabel in ((left, "loss of the new birds"), (right, "named correctly")):
        ax.axvline(0.5, color=GREY, linewidth=1, linestyle=":")
        ax.set(xlabel="weight of the second look", ylabel=ylabel)
        ax.legend(frameon=False, fontsize=9)
    return figure


def draw_sureness(birds, nothing, limit):
    """How sure a cropper is of pictures with a bird and of pictures without one, a dot each.

    Args:
        birds, nothing: numbers from 0 to 1. limit: below it the cropper gives up.

    Returns:
        the matplotlib figure.
    """
    figure, (ax,) = panels(1, size=(7.0, 2.0))
    jitter = np.random.default_rng(0)
    for row, (values, colour) in enumerate(((nothing, GREY), (birds, BLUE))):
        values = as_array(values)
        ax.scatter(values, row + jitter.uniform(-0.2, 0.2, len(values)), color=colour, alpha=0.7)
    ax.axvline(limit, color=ORANGE, linestyle="--")
    ax.text(limit + 0.01, 0.5, "limit", color=ORANGE, va="center")
    ax.set(xlim=(-0.03, 1.03), ylim=(-0.5, 1.5), xlabel="sureness that something is there")
    ax.set_yticks([0, 1], ["nothing on it", "a bird"])
    return figure
