"""Figures of what was learned: one scale for what was hidden and what was found."""

import numpy as np
import pytest
import torch
from PIL import Image

from mgff_tutorial.plots.attention_maps import draw_attention_rows
from mgff_tutorial.plots.granularities import draw_taps
from mgff_tutorial.plots.learning import draw_found
from mgff_tutorial.plots.style import plt


@pytest.fixture(autouse=True)
def close_figures():
    yield
    plt.close("all")


def test_hidden_and_learned_share_one_scale_and_carry_the_marks():
    grids = {"hidden": torch.zeros(2, 3), "learned": torch.full((2, 3), 0.7)}
    figure = draw_found(grids, {"loss": [3.0, 2.0, 1.0] * 4}, marks=[(1, 2)], label="share")
    hidden, learned = figure.axes[:2]
    assert np.allclose([ax.images[0].get_clim() for ax in (hidden, learned)], [(0, 0.7)] * 2)
    assert [ax.lines[0].get_xydata().tolist() for ax in (hidden, learned)] == [[[2.0, 1.0]]] * 2


def test_attention_rows_share_a_scale_that_the_bar_names():
    rows = [torch.full((2, 2), 0.25), torch.tensor([[0.9, 0.1], [0.0, 0.0]])]
    figure = draw_attention_rows(Image.new("RGB", (40, 40)), rows, (0, 1), ["even", "sharp"])
    maps = [ax.images[1] for ax in figure.axes[:2]]
    assert np.allclose([m.get_clim() for m in maps], [(0, 0.9)] * 2)
    assert figure.axes[2].get_ylabel() == "weight"
    assert figure.axes[1].get_xlabel() == "largest weight 0.90"


def test_taps_leave_the_chain_after_each_merging_and_after_the_last_norm():
    ax = draw_taps([(48, 48, 256), (24, 24, 512), (12, 12, 1024), (12, 12, 1024)]).axes[0]
    place = {text.get_text(): text.get_position()[0] for text in ax.texts if text.get_text()}
    assert place["map 1\n48 × 48 × 256"] > place["stage 1"]
    assert place["map 4\n12 × 12 × 1024"] == place["norm"] > place["stage 4"]
    mergings = [t.get_position()[0] for t in ax.texts if t.get_text() == "merging"]
    maps = [x for text, x in place.items() if text.startswith("map")]
    assert mergings == maps[:3] and len(maps) == 4
