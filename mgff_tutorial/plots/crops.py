"""Figures of notebooks 10 to 12: attention matrices, response maps, masks, boxes, crops, accuracy
curves.
"""

import numpy as np

from .style import BLUE, GREEN, GREY, ORANGE, PALETTE, RED, panels, plt, show_image

MAP = "magma"


def _array(values):
    return (
        values.detach().float().cpu().numpy()
        if hasattr(values, "detach")
        else np.asarray(values, dtype=float)
    )


def overlay(ax, image, weights, title=None, alpha=0.55):
    """A grid of weights over a pale grey version of the image, enlarged without smoothing."""
    width, height = image.size
    grey = np.asarray(image.convert("L").convert("RGB"), dtype=float)
    show_image(
        ax, (255 - 0.65 * (255 - grey)).astype(np.uint8), title
    )  # pale, so that it shows through dark cells
    ax.imshow(
        _array(weights), cmap=MAP, alpha=alpha, extent=(-0.5, width - 0.5, height - 0.5, -0.5)
    )
    ax.set_xlim(-0.5, width - 0.5)
    ax.set_ylim(height - 0.5, -0.5)


def mark_patch(ax, image, grid, patch, colour=GREEN):
    """A frame around the patch (row, column) of a ``grid`` of (rows, columns) on a PIL image."""
    high, wide = image.height / grid[0], image.width / grid[1]
    corner = (patch[1] * wide - 0.5, patch[0] * high - 0.5)
    ax.add_patch(plt.Rectangle(corner, wide, high, fill=False, edgecolor=colour, linewidth=2.5))


def draw_matrix_sums(matrix, labels):
    """An attention matrix with its numbers; the sum of every row to the right, of every column
    below.

    Args:
        matrix: (N, N), rows sum to 1. labels: names of the N tokens.

    Returns:
        the matplotlib figure.
    """
    matrix = _array(matrix)
    count = len(matrix)
    figure, (ax,) = panels(1, size=(5.2, 4.1))
    ax.imshow(matrix, cmap="Blues", vmin=0, vmax=1)
    for i in range(count):
        for j in range(count):
            ax.text(
                j,
                i,
                f"{matrix[i, j]:.2f}",
                ha="center",
                va="center",
                color="white" if matrix[i, j] > 0.55 else "black",
            )
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
    ax.set_xticks(range(count), labels)
    ax.set_yticks(range(count), labels)
    ax.xaxis.tick_top()
    ax.xaxis.set_label_position("top")
    ax.set_xlabel("token that is looked at")
    ax.set_ylabel("token that asks")
    ax.tick_params(length=0)
    ax.set_xlim(-0.5, count + 0.35)
    ax.set_ylim(count + 0.1, -0.5)
    for spine in ax.spines.values():
        spine.set_visible(False)
    return figure


def draw_weight_grids(images, grids, row_titles=None, column_titles=None, size=1.75):
    """A table of pictures: each row an image, then its weights under each rule (or each layer).

    Args:
        images: list of PIL images. grids: for each image a list of (rows, columns) weights.
        row_titles, column_titles: names; the first column is the image itself.

    Returns:
        the matplotlib figure.
    """
    columns = len(grids[0]) + 1
    figure, axes = panels(len(images) * columns, columns, size=(size, size + 0.12))
    for i, (image, maps) in enumerate(zip(images, grids)):
        row = axes[i * columns : (i + 1) * columns]
        show_image(row[0], image, "image" if i == 0 else None)
        if row_titles is not None:
            row[0].set_ylabel(row_titles[i], fontsize=9)
        for j, (ax, weights) in enumerate(zip(row[1:], maps)):
            overlay(
                ax,
                image,
                weights,
                column_titles[j] if column_titles is not None and i == 0 else None,
            )
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
        values = np.sort(_array(values).ravel())[::-1]
        ax.plot(
            np.arange(1, len(values) + 1),
            values / values.mean(),
            color=colour,
            label=label,
            linewidth=2,
        )
    ax.axhline(1, color=GREY, linewidth=1, linestyle=":")
    ax.set_xlabel("patches, sorted by weight")
    ax.set_ylabel("weight / mean weight")
    ax.legend(frameon=False)
    return figure


def draw_affinity(image, patches, rows, cut, title="cut"):
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
    overlay(axes[-1], image, cut, title)
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
    axes[1].imshow(_array(response), cmap=MAP, alpha=0.7)
    show_image(axes[2], image, "3. largest component")
    axes[2].imshow(
        np.where(_array(mask) > 0.5, np.nan, 1.0), cmap="gray_r", vmin=0, vmax=1, alpha=0.78
    )
    show_image(axes[3], image, "4. box, padded", box=box)
    if truth is not None:
        x0, y0, x1, y1 = truth
        axes[3].add_patch(
            plt.Rectangle(
                (x0 - 0.5, y0 - 0.5),
                x1 - x0,
                y1 - y0,
                fill=False,
                edgecolor=GREEN,
                linewidth=2,
                linestyle="--",
            )
        )
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
    for ax, mask, title in zip(axes, masks, titles):
        mask = _array(mask).astype(int)
        colours = np.ones((*mask.shape, 3))
        for label in range(1, mask.max() + 1):
            colours[mask == label] = plt.matplotlib.colors.to_rgb(
                PALETTE[(label - 1) % len(PALETTE)]
            )
        show_image(ax, colours, title)
        ax.set_xticks(np.arange(mask.shape[1] + 1) - 0.5, [])
        ax.set_yticks(np.arange(mask.shape[0] + 1) - 0.5, [])
        ax.grid(color="#cccccc", linewidth=1)
        ax.tick_params(length=0)
    return figure


def draw_views(images, titles, size=2.5, columns=None):
    """Pictures with titles, ``columns`` in a row (all in one row by default)."""
    figure, axes = panels(len(images), columns, size=(size, size + 0.2))
    for ax, image, title in zip(axes, images, titles):
        show_image(ax, image, title)
        ax.images[-1].set_interpolation("nearest")
    return figure


def draw_boxes(images, boxes, truths, notes=None, columns=4):
    """Pictures with the found box (orange) and the true one (green, dashed); ``notes`` below each.

    Returns:
        the matplotlib figure.
    """
    figure, axes = panels(len(images), columns, size=(2.4, 2.6))
    for i, ax in enumerate(axes):
        show_image(ax, images[i], box=boxes[i])
        x0, y0, x1, y1 = (float(v) for v in truths[i])
        ax.add_patch(
            plt.Rectangle(
                (x0 - 0.5, y0 - 0.5),
                x1 - x0,
                y1 - y0,
                fill=False,
                edgecolor=GREEN,
                linewidth=2,
                linestyle="--",
            )
        )
        if notes is not None:
            ax.set_xlabel(notes[i], fontsize=9)
    return figure


def draw_iou_bars(names, means, above_half, target=None):
    """Two bars for each localisation rule: mean IoU, and share of images with IoU above one half.

    Returns:
        the matplotlib figure.
    """
    figure, (ax,) = panels(1, size=(7.4, 0.5 + 0.42 * len(names)))
    places = np.arange(len(names))
    ax.barh(places - 0.19, means, 0.36, color=BLUE, label="mean IoU")
    ax.barh(places + 0.19, above_half, 0.36, color=ORANGE, label="share with IoU > 0.5")
    for y, first, second in zip(places, means, above_half):
        ax.text(first, y - 0.19, f" {first:.2f}", va="center", fontsize=8.5)
        ax.text(second, y + 0.19, f" {second:.2f}", va="center", fontsize=8.5)
    ax.set_yticks(places, names)
    ax.invert_yaxis()
    ax.set_xlim(0, 1.02)
    ax.legend(
        frameon=False, loc="upper center", bbox_to_anchor=(0.45, 1.03 + 0.45 / len(names)), ncols=2
    )
    ax.set_xticks([])
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
            ax.plot(
                x,
                [e.mean for e in estimates],
                "o-",
                color=colour,
                label=label,
                linewidth=2,
                markersize=4,
            )
            ax.fill_between(
                x,
                [e.low for e in estimates],
                [e.high for e in estimates],
                color=colour,
                alpha=0.16,
                linewidth=0,
            )
        ax.set_xlabel(xlabel)
        ax.set_ylim(0, 1.02)
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
        mean = np.array([e.mean for e in line])
        error = np.array([[e.mean - e.low for e in line], [e.high - e.mean for e in line]])
        ax.axhline(0, color=GREY, linewidth=1)
        ax.errorbar(x, mean, error, fmt="o", color=BLUE, capsize=3)
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
        first, second = _array(first), _array(second)
        labels, rows = _array(labels).astype(int), np.arange(len(first))
        merged = [(1 - w) * first + w * second for w in weights]
        if not left.lines:
            left.plot(weights, [-np.log(p[rows, labels]).mean() for p in merged], color=colour)
        right.plot(weights, [(p.argmax(1) == labels).mean() for p in merged], color=colour)
        right.lines[-1].set_label(name)
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
        values = _array(values)
        ax.scatter(values, row + jitter.uniform(-0.2, 0.2, len(values)), color=colour, alpha=0.7)
    ax.axvline(limit, color=ORANGE, linestyle="--")
    ax.text(limit + 0.01, 0.5, "limit", color=ORANGE, va="center")
    ax.set(xlim=(-0.03, 1.03), ylim=(-0.5, 1.5), xlabel="sureness that something is there")
    ax.set_yticks([0, 1], ["nothing on it", "a bird"])
    ax.spines[["top", "right"]].set_visible(False)
    return figure
