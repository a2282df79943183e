"""Figures of drawn birds show what they say."""

import matplotlib
import pytest

matplotlib.use("Agg")
import matplotlib.pyplot as plt  # noqa: E402

from mgff_tutorial.plots.birds import draw_species_pair  # noqa: E402
from mgff_tutorial.support.errors import InputError  # noqa: E402


@pytest.fixture(autouse=True)
def close_figures():
    yield
    plt.close("all")


def test_pair_circles_each_differing_part_in_both_pictures():
    figure = draw_species_pair(9, 11, size=64)  # beak and crown differ
    for ax in figure.axes:
        assert len({(c.center, c.radius) for c in ax.patches if isinstance(c, plt.Circle)}) == 2
    assert figure.axes[1].get_xlabel() == "beak: hooked, crown: stripe"
    assert not draw_species_pair(9, 11, size=64, circle=False).axes[0].patches


@pytest.mark.parametrize("a, b", [(0, 4), (3, 3)])
def test_pair_of_different_genera_or_of_one_species_is_refused(a, b):
    with pytest.raises(InputError, match="two species of one genus"):
        draw_species_pair(a, b)
