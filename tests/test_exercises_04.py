"""Notebook 04: the solutions pass their checks, plausible wrong answers fail with a hint."""

import pytest
from exercises import assert_correct_and_a_stub_unanswered, solutions

from mgff_tutorial.checks import swin as checks
from mgff_tutorial.checks.core import CheckFailed
from mgff_tutorial.swin import swin_nano

SOLUTIONS = solutions("04_swin")
CHECKS = {
    "map_shapes": checks.check_map_shapes,
    "block_parameters": checks.check_block_parameters,
    "drop_rates": checks.check_drop_rates,
    "timm_name": checks.check_timm_name,
}
RIGHT = SOLUTIONS["timm_name"]


@pytest.mark.parametrize("name", CHECKS)
def test_solution_is_correct_and_a_stub_is_unanswered(name, capsys):
    assert_correct_and_a_stub_unanswered(CHECKS[name], SOLUTIONS[name], capsys)


def test_the_packaged_network_agrees_with_the_solutions():
    model = swin_nano(depths=(2, 2, 6, 2), drop_path_rate=0.1)
    rates = [[block.drop_path.rate for block in stage.blocks] for stage in model.layers]
    for ours, theirs in zip(SOLUTIONS["drop_rates"]((2, 2, 6, 2), 0.1), rates):
        assert ours == pytest.approx(theirs)


def shapes(size, width, stages=(1, 2, 3, 3), up=True, start=4):
    sides = {s: -(-size // (start * 2**s)) if up else size // (start * 2**s) for s in stages}
    return [(sides[s], sides[s], width * 2**s) for s in stages]


def parameters(dim, heads, window, table=True, norms=True, biases=True):
    return (
        12 * dim * dim + 9 * dim * biases + 4 * dim * norms + (2 * window - 1) ** 2 * heads * table
    )


def rates(depths, last, each=False, shift=0):
    total = sum(depths)
    if each:
        return [[last * i / max(1, d - 1) for i in range(d)] for d in depths]
    flat = [last * (i + shift) / (total - 1 + shift) for i in range(total)]
    return [flat[sum(depths[:s]) : sum(depths[: s + 1])] for s in range(len(depths))]


@pytest.mark.parametrize(
    "name, answer, hint",
    [
        ("map_shapes", lambda s, w: shapes(s, w, (0, 1, 2, 3)), "before merging"),
        ("map_shapes", lambda s, w: shapes(s, w, (1, 2, 3, 4)), "no merging after the last stage"),
        ("map_shapes", lambda s, w: shapes(s, w, up=False), "round up"),
        (
            "block_parameters",
            lambda d, h, w: parameters(d, h, w, table=False),
            "bias table is missing",
        ),
        (
            "block_parameters",
            lambda d, h, w: parameters(d, h, w, norms=False),
            "layer norms are missing",
        ),
        ("block_parameters", lambda d, h, w: parameters(d, h, w, biases=False), "have biases"),
        ("drop_rates", lambda d, r: rates(d, r, shift=1), "never skipped"),
        ("drop_rates", lambda d, r: rates(d, r, each=True), "start anew|over all blocks"),
        ("drop_rates", lambda d, r: [r * i for i in range(4)], "one list for each stage|expected"),
        ("timm_name", lambda n: n, "end of a stage"),
        ("timm_name", lambda n: RIGHT(n) if "head" not in n else n, "head.fc"),
        ("timm_name", lambda n: "drop" if "relative" in n else RIGHT(n), "must stay"),
        ("timm_name", lambda n: n if "attn_mask" in n else RIGHT(n), 'return the word "drop"'),
    ],
)
def test_wrong_answers_fail_with_a_hint(name, answer, hint):
    with pytest.raises(CheckFailed, match=hint):
        CHECKS[name](answer)
