"""Figures of notebooks 09 and 12: the gate, coordinates of a box, the weight of the second look."""

import numpy as np
import pytest
import torch
from PIL import Image

from mgff_tutorial.plots.crops import draw_weights
from mgff_tutorial.plots.fusion import draw_entry, draw_opening
from mgff_tutorial.plots.start import draw_coordinates
from mgff_tutorial.plots.style import plt


@pytest.fixture(autouse=True)
def close():
    yield
    plt.close("all")


def heights(ax):
    return [bar.get_height() for bar in ax.patches]


def test_bars_at_the_gate_are_the_terms_of_the_sum():
    pooled, vector, gate = torch.tensor([[1.0, 2.0], [3.0, -4.0], [0.5, 0.25]])
    figure = draw_entry(Image.new("RGB", (8, 8)), pooled, vector, gate, channels=2)
    start, after = figure.axes[1:5], figure.axes[6:10]
    assert heights(start[1]) == [0, 0] and heights(start[3]) == [1, 2, 0, 0]  # p, and nothing
    assert heights(after[1]) == [0.5, 0.25] and heights(after[2]) == [3, -4]
    assert heights(after[3]) == [1, 2, 1.5, -1]


def test_a_run_that_opens_its_gate_is_drawn_by_update():
    losses = {"closed": [2.0] * 9, "opens": [2.0, 1.0] * 5}
    figure = draw_opening(losses, {"closed": [0.0] * 9, "opens": np.arange(10) / 10})
    left, right = figure.axes
    assert left.lines[0].get_ydata().tolist() == pytest.approx([2.0] * 5)
    assert right.lines[1].get_xdata()[0] == 1 and right.lines[1].get_ydata()[-1] == 0.9


def test_corners_of_a_box_are_scaled_by_the_sides_of_the_picture():
    figure = draw_coordinates(Image.new("RGB", (300, 150)), (30, 30, 90, 120), 100, 50)
    vit, original, crop = figure.axes
    shown = [
        [t.get_text() for t in ax.get_xticklabels() + ax.get_yticklabels()] for ax in figure.axes
    ]
    assert shown[0] == ["10", "30", "20", "80"] and shown[1] == ["30", "90", "30", "120"]
    assert "300/100" in original.get_xlabel() and "150/100" in original.get_xlabel()
    assert crop.images[0].get_array().shape[:2] == (50, 50)


def test_loss_and_accuracy_by_weight_are_those_of_the_merge():
    first = torch.tensor([[0.9, 0.1], [0.4, 0.6]])
    second = torch.tensor([[0.3, 0.7], [0.8, 0.2]])
    labels = torch.tensor([0, 0])
    left, right = draw_weights({"two": (first, second, labels)}, [(0.5, 0.7)]).axes
    middle = -np.log([0.6, 0.6]).mean()
    assert left.lines[0].get_ydata()[50] == pytest.approx(middle)
    accuracy = right.lines[0].get_ydata()
    assert accuracy[0] == 0.5 and accuracy[50] == 1.0 and accuracy[100] == 0.5
