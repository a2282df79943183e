"""The explorers: a knob redraws the picture, and nothing is printed."""

import io
import sys

import numpy as np
import pytest
import torch
from PIL import Image

from mgff_tutorial.plots import explore
from mgff_tutorial.plots.style import plt
from mgff_tutorial.support.errors import InputError


def test_a_knob_redraws_the_picture_and_nothing_is_printed(capsys):
    calls, open_before = [], plt.get_fignums()

    def draw(size, start=3, kind="b"):
        calls.append((size, start, kind))
        figure, ax = plt.subplots(figsize=(2, 1))
        ax.plot([0, size, start])
        return figure

    box = explore.explorer(draw, size=(1, 9, 1), start=(0, 9, 1), kind=["a", "b"])
    knobs, picture = box.children
    before = bytes(picture.value)
    assert calls == [(1, 3, "b")] and before.startswith(b"\x89PNG")
    assert knobs.children[2].layout.width == "max-content"  # long names can be read
    knobs.children[0].value = 5
    knobs.children[2].value = "a"
    assert calls[1:] == [(5, 3, "b"), (5, 3, "a")] and bytes(picture.value) != before
    assert capsys.readouterr().out == "" and plt.get_fignums() == open_before


def test_a_click_on_a_patch_draws_anew_for_that_patch():
    calls = []

    def draw(row=1, column=2, map=4):
        calls.append((row, column, map))
        figure, ax = plt.subplots(figsize=(2, 1))
        ax.plot([row, column, map])
        return figure

    box = explore.patch_explorer(draw, Image.new("RGB", (60, 60)), (2, 3), map=[1, 4])
    knobs, shown = box.children
    (photo, board), picture = shown.children[0].children, shown.children[1]
    assert len(board.children) == 6 and bytes(photo.value).startswith(b"\x89PNG")
    before = bytes(picture.value)
    board.children[3].click()  # second row, first column
    knobs.children[0].value = 1
    assert calls == [(1, 2, 4), (1, 0, 4), (1, 0, 1)] and bytes(picture.value) != before
    assert board.layout.margin == f"-{photo.layout.height} 0 0 0"  # it lies on the picture


def test_what_is_stored_in_a_notebook_does_not_depend_on_the_picture():
    box = explore.explorer(explore.draw_valley, momentum=(0.0, 0.99, 0.01))
    assert box._repr_mimebundle_()["text/plain"] == repr(box)
    assert "running kernel" in repr(box)


def test_without_ipywidgets_one_sentence(monkeypatch):
    monkeypatch.setitem(sys.modules, "ipywidgets", None)
    with pytest.raises(InputError, match="pip install ipywidgets"):
        explore.explorer(explore.draw_valley, momentum=(0.0, 0.99, 0.01))


def texts(figure):
    return " ".join(t.get_text() for ax in figure.axes for t in ax.findobj(plt.Text))


@pytest.mark.parametrize(
    "window, shift, expected",
    [(4, 2, ("5 of 9", "25%")), (4, 0, ("0 of 9", "100%")), (6, 3, ("3 of 4", "25%"))],
)
def test_shift_says_how_many_windows_need_a_mask(window, shift, expected):
    figure = explore.draw_shift(window, shift)
    assert all(text in texts(figure) for text in expected)
    plt.close(figure)


@pytest.mark.parametrize("weight, answer", [(0.0, "A"), (0.5, "B"), (1.0, "B")])
def test_merge_names_the_answer_at_a_weight(weight, answer):
    first, second = torch.tensor([0.5, 0.45, 0.05]), torch.tensor([0.1, 0.85, 0.05])
    figure = explore.draw_merge(first, second, "ABC", truth=1, weight=weight, top=3)
    assert figure.axes[2].get_xlabel() == f"answer: {answer}"
    plt.close(figure)


@pytest.mark.parametrize("size", [0.25, 0.8])
def test_a_pair_differs_in_its_part_and_nowhere_else(size):
    figure = explore.draw_pair("Common Marsh Pipit / Spotted Marsh Pipit", size)
    first, second = (np.asarray(ax.images[0].get_array(), int) for ax in figure.axes[2:])
    assert first.shape == second.shape and (first != second).any()
    corner = figure.axes[0].images[0].get_array()[:20, :20]
    assert (corner == figure.axes[1].images[0].get_array()[:20, :20]).all()
    assert "breast: spots" in texts(figure)
    plt.close(figure)


def test_the_valley_ends_where_the_formula_says():
    figure = explore.draw_valley(learning_rate=0.1, momentum=0.0, updates=60)
    path = figure.axes[0].lines[0].get_xydata()
    assert np.allclose(path[-1], [-9 * 0.99**60, 2.5 * 0.8**60])
    plt.close(figure)


def test_a_picture_is_a_png_of_the_figure():
    figure = explore.draw_valley()
    with Image.open(io.BytesIO(explore.png_of(figure))) as picture:
        assert picture.format == "PNG" and picture.width > 500


@pytest.mark.parametrize("head, column", [(1, "sum 0.50"), (2, "sum 0.00"), ("mean", "sum 0.25")])
def test_attention_of_a_patch_gives_the_sums_of_its_row_and_its_column(head, column):
    matrix = torch.zeros(2, 5, 5)
    matrix[0, :, 1], matrix[0, :, 2], matrix[1, :, 4] = 0.9, 0.1, 1.0
    figure = explore.draw_patch_attention(Image.new("RGB", (20, 20)), matrix, (0, 1), head)
    found = [ax.get_xlabel().split(",")[0] for ax in figure.axes[1:]]
    assert found == ["sum 1.00", column]
    row = figure.axes[1].images[1].get_array()
    assert row.shape == (2, 2)
    assert float(row[0, 0]) == pytest.approx({1: 0.9, 2: 0.0, "mean": 0.45}[head])
    plt.close(figure)


@pytest.mark.parametrize(
    "tau, padding, iou, share",
    [(1.0, 0.0, "IoU 1.00", "25%"), (1.0, 0.5, "IoU 0.44", "25%"), (9.0, 0.0, "IoU 0.25", "0%")],
)
def test_a_cut_moves_with_threshold_and_padding(tau, padding, iou, share):
    weights = torch.zeros(8, 8)
    weights[:4, :4], weights[7, 7] = 1.0, 0.3
    truth = (0, 0, 4, 4)  # the image has a pixel per patch: nothing is interpolated
    figure = explore.draw_cut(Image.new("RGB", (8, 8)), weights, tau, padding, truth)
    assert figure.axes[3].get_xlabel() == iou
    assert figure.axes[2].get_xlabel() == f"{share} of the picture"
    plt.close(figure)
