"""Explorers: pictures with knobs. Each is a function that draws, usable without widgets, and
`explorer` puts knobs on it.

A picture is sent as an image inside the widget and never as an output of the cell, so that a
notebook's outputs are the same with and without a browser.
"""

import inspect
import io

import numpy as np

from ..renderer import render
from ..renderer.species import find_species
from ..support.errors import InputError
from .birds import _circle_around
from .crops import draw_steps, mark_patch, overlay
from .style import (
    BLUE,
    GREEN,
    ORANGE,
    RED,
    bare,
    frame,
    panels,
    plt,
    show_image,
    write_cells,
)
from .training import draw_way
from .windows import REGIONS, _borders, _pairs

CLICKED = 240  # pixels: side of a picture to click


def explorer(draw, **knobs):
    """A widget that calls ``draw`` with the values of its knobs and shows the figure it returns.

    Args:
        draw: function of the knobs' names, returns a matplotlib figure. A knob starts at the
            default of its argument; without one, at the first of its values.
        knobs: name = list of choices, or (lowest, highest, step) of a slider.

    Raises:
        InputError: ipywidgets is not installed.
    """
    box, _ = _explorer(_widgets(), draw, knobs)
    return box


def patch_explorer(draw, image, grid, **knobs):
    """A picture to click: ``draw`` gets the ``row`` and ``column`` of the patch, and the knobs.

    Args:
        draw: function of ``row``, ``column`` and the knobs' names, returns a matplotlib figure; its
            defaults say where it starts.
        image: square PIL image. grid: (rows, columns) of patches. knobs: as for `explorer`.

    Raises:
        InputError: ipywidgets is not installed.
    """
    widgets = _widgets()
    rows, columns = grid
    cell = CLICKED // max(grid)
    wide, high = (f"{cell * count}px" for count in (columns, rows))
    photo = widgets.Image(
        value=_png_of_image(image),
        format="png",
        layout=widgets.Layout(width=wide, height=high, max_width="none", margin="0"),
    )
    edge = "1px solid rgba(255, 255, 255, 0.5)"
    size = {"width": f"{cell}px", "height": f"{cell}px"}
    patches = [  # clear buttons, side by side on the picture
        widgets.Button(
            tooltip=f"row {row + 1}, column {column + 1}",
            style={"button_color": "transparent"},
            layout=widgets.Layout(**size, margin="0", border=edge),
        )
        for row in range(rows)
        for column in range(columns)
    ]
    chosen = dict(row=_start(draw, "row", 0), column=_start(draw, "column", 0))
    layout = widgets.Layout(
        width=wide,
        height=high,
        margin=f"-{high} 0 0 0",
        overflow="hidden",  # no bars to scroll
        grid_template_columns=f"repeat({columns}, {cell}px)",
        grid_gap="0",
    )
    board = widgets.GridBox(patches, layout=layout)
    clicked = widgets.VBox([photo, board], layout=widgets.Layout(min_width=wide, overflow="hidden"))
    box, update = _explorer(widgets, draw, knobs, chosen, clicked)

    def choose(patch):
        chosen["row"], chosen["column"] = divmod(patches.index(patch), columns)
        update()

    for patch in patches:
        patch.on_click(choose)
    return box


def _widgets():
    try:
        import ipywidgets
    except ImportError:
        raise InputError(
            "explorer needs ipywidgets; pip install ipywidgets, or call the drawing function."
        ) from None
    return ipywidgets


def _start(draw, name, otherwise):
    default = inspect.signature(draw).parameters[name].default
    return otherwise if default is inspect.Parameter.empty else default


def _explorer(widgets, draw, knobs, chosen=None, clicked=None):
    """Knobs above, the drawn figure below, and beside it what is clicked; and what redraws it."""
    arguments = inspect.signature(draw).parameters
    controls = {
        name: _control(widgets, name, values, arguments[name].default)
        for name, values in knobs.items()
    }
    picture = widgets.Image(format="png")

    def update(change=None):
        values = {name: knob.value for name, knob in controls.items()}
        picture.value = png_of(draw(**values, **(chosen or {})))

    for knob in controls.values():
        knob.observe(update, names="value")
    update()
    shown = picture if clicked is None else widgets.HBox([clicked, picture])
    rows = [widgets.HBox(list(controls.values())), shown]
    return _box_class(widgets)(rows, layout=widgets.Layout(overflow="hidden")), update


def _box_class(widgets):
    class Explorer(widgets.VBox):
        def __repr__(self):
            return "Run this cell: the knobs need a running kernel."

    return Explorer


def _control(widgets, name, values, start):
    shown = {"description": name.replace("_", " "), "style": {"description_width": "initial"}}
    if isinstance(values, list):
        chosen = start if start in values else values[0]
        wide = widgets.Layout(width="max-content")  # the longest choice can be read
        return widgets.Dropdown(options=values, value=chosen, layout=wide, **shown)
    low, high, step = values
    kind = widgets.IntSlider if isinstance(step, int) else widgets.FloatSlider
    chosen = low if start is inspect.Parameter.empty else start
    return kind(chosen, min=low, max=high, step=step, continuous_update=False, **shown)


def _png_of_image(image):
    stream = io.BytesIO()
    image.convert("RGB").resize((CLICKED, CLICKED)).save(stream, format="png")
    return stream.getvalue()


def png_of(figure):
    """A figure as the bytes of a PNG file; the figure is closed."""
    stream = io.BytesIO()
    figure.savefig(stream, format="png", dpi=90)
    plt.close(figure)
    return stream.getvalue()


def draw_shift(window=4, shift=2, side=12):
    """The regions of a map of ``side`` x ``side`` tokens after a cyclic shift, and the mask of the
    window at the lower right, where they meet.

    Args:
        window: side of a window in tokens, a divisor of ``side``. shift: tokens, taken modulo
            ``window``.
    """
    from ..windows import shift_mask, shift_regions, window_partition

    shift = shift % window
    pair = ((window, window), (shift, shift))
    regions = shift_regions(side, side, *pair)
    numbers = np.arange(side * side).reshape(side, side)
    moved = np.roll(numbers, (-shift, -shift), (0, 1))
    home = np.roll(regions.numpy(), (shift, shift), (0, 1))
    masks = shift_mask(side, side, *pair)
    names = window_partition(regions[None, :, :, None], pair[0])[-1, :, 0].numpy()
    figure, axes = panels(3, size=(3.5, 3.5))
    for ax, tokens, colours, offset in (
        (axes[0], numbers, home, shift),
        (axes[1], moved, regions.numpy(), 0),
    ):
        ax.imshow(colours, cmap=plt.matplotlib.colors.ListedColormap(REGIONS), vmin=-0.5, vmax=8.5)
        write_cells(ax, tokens, size=7.5)
        _borders(ax, (side, side), pair[0], (offset, offset))
    axes[0].set_title(f"windows moved by {shift}")
    _pairs(axes[2], masks[-1].numpy() == 0, names)
    blocked = int((masks != 0).flatten(1).any(1).sum())
    key = f"key ({float((masks[-1] == 0).float().mean()):.0%} of the pairs allowed)"
    axes[2].set(title="mask of the last window", xlabel=key, ylabel="query")
    note = f"{blocked} of {len(masks)} windows need a mask"
    axes[1].set(title="the map rolled instead", xlabel=note)
    for ax in axes:
        bare(ax)
    return figure


def draw_patch_attention(image, matrix, patch, head="mean"):
    """Whom a patch looks at, and who looks at it: its row and its column of an attention matrix.

    Args:
        image: PIL image. matrix: (heads, N + 1, N + 1) attention of one layer over a class token
            and a square grid of N patches; rows sum to 1. patch: (row, column). head: its number
            from 1, or ``"mean"``.
    """
    chosen = matrix.mean(dim=0) if head == "mean" else matrix[head - 1]
    side = round((len(chosen) - 1) ** 0.5)
    place = 1 + patch[0] * side + patch[1]
    figure, axes = panels(3, size=(3.0, 3.15))
    show_image(axes[0], image, f"patch {tuple(patch)}")
    mark_patch(axes[0], image, (side, side), patch)
    row, column = chosen[place], chosen[:, place]
    for ax, values, title in (
        (axes[1], row, "the patch looks at (row)"),
        (axes[2], column, "looks at the patch (column)"),
    ):
        overlay(ax, image, values[1:].unflatten(0, (side, side)), title)
        mark_patch(ax, image, (side, side), patch)
        ax.set_xlabel(f"sum {values.sum():.2f}, class token {values[0]:.2f}", fontsize=9)
    return figure


def draw_cut(image, weights, tau=1.0, padding=0.05, truth=None):
    """From a response map to a crop, for a threshold and a padding.

    Args:
        image: PIL image. weights: (rows, columns), one number per patch. tau: the threshold is
            ``tau`` times the mean. padding: share of the box's side. truth: true box, xyxy pixels
            of ``image``.
    """
    import torch
    from torchvision.ops import box_iou

    from ..cropper import box_of, largest_component, pad_boxes
    from ..response import enlarge

    size = (image.height, image.width)
    response = enlarge(weights[None], size)[0, 0].cpu()
    above = (response > tau * weights.mean().cpu()).numpy()
    kept = largest_component(above[None])
    box = pad_boxes(torch.from_numpy(box_of(kept)), padding, *size)[0]
    if not kept.any():  # nothing above the threshold: the cropper takes the whole image
        box = torch.tensor([0.0, 0.0, image.width, image.height])
    crop = image.crop(tuple(box.round().int().tolist())).resize(image.size)
    figure = draw_steps(image, response, kept[0], box, crop, truth)
    axes = figure.axes
    axes[1].contour(above, levels=[0.5], colors="white", linewidths=1.2)
    axes[1].set_xlabel(f"white: above {tau:g} x the mean", fontsize=9)
    axes[2].set_xlabel(f"{kept.mean():.0%} of the picture", fontsize=9)
    if truth is not None:
        overlap = box_iou(box[None], torch.as_tensor(truth)[None]).item()
        axes[3].set_xlabel(f"IoU {overlap:.2f}", fontsize=9)
    return figure


def draw_merge(first, second, names, truth, weight=0.5, top=4):
    """Two looks and their merged prediction, as bars.

    Args:
        first, second: (K,) probabilities of the looks. names: of the classes. truth: the true one.
        weight: share of the second look.
    """
    first, second = (np.asarray(p, dtype=float) for p in (first, second))
    merged = (1 - weight) * first + weight * second
    shown = np.argsort(-np.maximum(first, second), kind="stable")[:top]
    figure, axes = panels(3, size=(3.5, 2.6), sharey=True)
    titles = ("first look", "second look", f"merged, weight {weight:.2f}")
    for ax, values, title in zip(axes, (first, second, merged), titles):
        colours = [GREEN if i == truth else BLUE for i in shown]
        ax.barh(range(top), values[shown], color=colours)
        for row, i in enumerate(shown):
            long = values[i] > 0.86  # its number stands in the bar, not beside it
            place = dict(ha="right", color="white") if long else dict(ha="left", color="black")
            at = values[i] - 0.01 if long else values[i] + 0.01
            ax.text(at, row, f"{values[i]:.2f}", va="center", fontsize=9, **place)
        answer = values.argmax()
        ax.set(title=title, xlim=(0, 1))
        ax.set_xlabel(
            f"answer: {names[answer]}", color=GREEN if answer == truth else RED, fontsize=9
        )
    axes[0].set_yticks(range(top), [names[i] for i in shown], fontsize=9)
    axes[0].invert_yaxis()
    return figure


def draw_pair(pair, size=0.7, scene=4):
    """Two species in the same scene, and the part that tells them apart as the small classifier
    sees it, at 96 x 96 pixels.

    Args:
        pair: two species of a genus, as ``"one / other"``. size: longer side of the bird over the
            side of the picture. scene: number of the scene.
    """
    a, b = (find_species(name) for name in pair.split(" / "))
    part, side = a.differs_from(b)[0], 96
    figure, axes = panels(4, size=(2.7, 2.9))
    for i, one in enumerate((a, b)):
        drawn = render(one, scene, size=384, scale=size, occluders=0, camouflage=0.15)
        seen = drawn.image.resize((side, side), reducing_gap=None)
        x, y, radius = (v * side / 384 for v in _circle_around(drawn, part))
        half = max(4, round(1.2 * radius))
        x, y = (min(max(round(v), half), side - half) for v in (x, y))
        show_image(axes[i], drawn.image, one.name)
        axes[i].title.set_fontsize(9.5)
        frame(axes[i], (x - half) * 4, (y - half) * 4, 8 * half, 8 * half)
        close = seen.crop((x - half, y - half, x + half, y + half))
        show_image(axes[2 + i], close, f"{part}: {one.code(part)}")
        axes[2 + i].set_xlabel(f"{2 * half} x {2 * half} of 96 x 96 pixels", fontsize=9)
    return figure


def draw_valley(learning_rate=0.1, momentum=0.7, updates=60):
    """The way of a ball down the valley x^2 / 20 + y^2, and its loss by update."""
    place, velocity = np.array([-9.0, 2.5]), np.zeros(2)
    path = [place]
    for _ in range(updates):
        velocity = momentum * velocity + place * [0.1, 2.0]
        place = np.clip(place - learning_rate * velocity, -1e6, 1e6)
        path.append(place)
    path = np.array(path)
    losses = path[:, 0] ** 2 / 20 + path[:, 1] ** 2
    figure, (left, right) = panels(2, size=(4.6, 2.8))
    draw_way(left, path, f"learning rate {learning_rate:g}, momentum {momentum:g}")
    right.semilogy(np.clip(losses, 1e-8, 1e8), color=ORANGE)
    right.set(xlabel="update", title="loss", ylim=(1e-8, 1e4))
    return figure
