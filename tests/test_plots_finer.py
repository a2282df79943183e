"""A trained MGFF stretched to twice its image size says the same where the finer picture does."""

import pytest
import torch

from mgff_tutorial import create_model
from mgff_tutorial.plots.finer import stretch


@pytest.fixture(scope="module")
def models():
    trained = create_model("mgff_swin_nano", pretrained=True).eval()
    return trained, stretch(trained, create_model("mgff_swin_nano", img_size=192))


def finer_nodes(nodes):
    """(B, 36, C) -> (B, 144, C): every node four times, on a grid of twice the side."""
    maps = nodes.unflatten(1, (4, 3, 3)).repeat_interleave(2, 2).repeat_interleave(2, 3)
    return maps.flatten(1, 3)


def test_four_equal_nodes_are_heard_as_the_one_that_they_were(models):
    nodes = torch.randn(2, 36, 256, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        coarse, fine = models[0].mgff.head(nodes), models[1].mgff.head(finer_nodes(nodes))
    assert (coarse["embedding"] - fine["embedding"]).abs().max() < 1e-4
    assert coarse["embedding"].abs().max() > 0.5
    assert (finer_nodes(coarse["assignment"]) - fine["assignment"]).abs().max() < 1e-4


def test_a_picture_has_four_times_the_nodes_and_each_attention_six_by_six(models):
    with torch.no_grad():
        out = models[1].details(torch.zeros(1, 3, 192, 192))
    assert out["assignment"].shape == (1, 144, 8)
    assert [a.grid for a in models[1].mgff.attention] == [(6, 6)] * 4
