"""The curves of a run as a picture: loss and accuracy by epoch, and the learning rate."""

import io

from ..support.files import atomic_file


def draw_curves(records, figure):
    """Draw the log of a run into a matplotlib figure.

    Args:
        records: list of dicts with ``epoch``, ``train_loss``, ``train_accuracy``, ``lr``, and
            perhaps ``val_loss`` and ``val_accuracy``.
        figure: an empty figure.
    """
    loss, accuracy, rate = figure.subplots(1, 3)
    epochs = [record["epoch"] for record in records]
    for ax, key, title in ((loss, "loss", "loss"), (accuracy, "accuracy", "accuracy")):
        ax.plot(
            epochs,
            [record[f"train_{key}"] for record in records],
            color="#3b6fb6",
            label="training",
        )
        if records and f"val_{key}" in records[-1]:
            ax.plot(
                epochs,
                [record[f"val_{key}"] for record in records],
                color="#e08a2b",
                label="validation",
            )
        ax.set(title=title, xlabel="epoch")
        ax.legend(frameon=False, loc="best")
    accuracy.set_ylim(0, 1.02)
    rate.plot(epochs, [record["lr"] for record in records], color="#8a8f98")
    rate.set(title="learning rate (end of epoch)", xlabel="epoch")
    for ax in (loss, accuracy, rate):
        ax.spines[["top", "right"]].set_visible(False)
        ax.xaxis.get_major_locator().set_params(integer=True)
    return figure


def save_curves(records, path):
    """Write the curves of a run to a PNG file, atomically."""
    from matplotlib.backends.backend_agg import (
        FigureCanvasAgg,  # no pyplot: the reader's figures are left alone
    )
    from matplotlib.figure import Figure

    figure = Figure(figsize=(11, 3.2), layout="constrained", facecolor="white")
    FigureCanvasAgg(figure)
    draw_curves(records, figure)
    picture = io.BytesIO()
    figure.savefig(picture, format="png", dpi=110)
    with atomic_file(path) as stream:
        stream.write(picture.getvalue())
