"""What all checks have in common: outcomes, strictness, and answers that behave oddly."""

import random

import numpy as np
import pytest
import torch
from exercises import CHECKS, FOLDER, names_in_the_notebook, solutions

from mgff_tutorial.checks.core import (
    CheckFailed,
    ask,
    ask_in_place,
    ask_tensor,
    draw,
    draw_numpy,
    exercise,
    expect,
    expect_close,
    expect_equal,
    random_state_untouched,
)


@exercise("Exercise 8.2", points=3)
def check_double(double):
    x = torch.arange(6.0).view(2, 3)
    got = ask(double, x)
    expect_close("twice x", got, 2 * x, hint="Multiply by 2.")
    expect(torch.allclose(got, 2 * x), "not twice x")


@pytest.mark.parametrize(
    "answer",
    [
        lambda x: 2 * x,
        lambda x: 2 * x.double(),
        lambda x: (2 * x).tolist(),
        lambda x: tuple(map(tuple, (2 * x).tolist())),
        lambda x: 2 * x.numpy(),
        lambda x: (2 * x).requires_grad_(),
        lambda x: (2 * x).bfloat16(),
        lambda x: print("a look inside:", x.shape) or 2 * x,
    ],
)
def test_a_right_answer_in_another_form(answer, capsys):
    outcome = check_double(answer)
    assert capsys.readouterr().out.endswith("Exercise 8.2: correct.\n")
    assert (outcome.exercise, outcome.result, outcome.points) == ("8.2", "correct", 3)
    assert outcome.hint == ""


@pytest.mark.parametrize(
    "answer",
    [None, ..., lambda x: None, lambda x: ...],
)
def test_not_answered_is_a_line_unless_strict(answer, capsys, monkeypatch):
    outcome = check_double(answer)
    assert capsys.readouterr().out == "Exercise 8.2: not answered yet.\n"
    assert (outcome.result, outcome.points, outcome.out_of) == ("not answered", 0, 3)
    with pytest.raises(CheckFailed, match="Exercise 8.2: not answered") as failure:
        check_double(answer, strict=True)
    assert failure.value.outcome == outcome
    monkeypatch.setenv("MGFF_STRICT", "1")
    with pytest.raises(CheckFailed, match="not answered"):
        check_double(answer)
    check_double(answer, strict=False)
    monkeypatch.setenv("MGFF_STRICT", "0")
    check_double(answer)


def raises(error):
    def answer(x):
        raise error

    return answer


def test_not_implemented_by_the_reader_and_by_torch(capsys):
    assert check_double.judge(raises(NotImplementedError)).result == "not answered"
    assert check_double.judge(raises(NotImplementedError("later"))).result == "not answered"
    for answer in (
        torch.nn.Module(),  # has no forward
        lambda x: torch.empty(2, 3, device="meta").item(),
    ):
        outcome = check_double.judge(answer)
        assert outcome.result == "wrong" and outcome.raised, outcome
    assert capsys.readouterr().out == ""


def changes(x):
    x *= 2
    return x


@pytest.mark.parametrize(
    "answer, hint",
    [
        (lambda x: x, "twice x: differs by up to 5, .* Multiply by 2"),
        (lambda x: x @ x, "your function raised RuntimeError: .*in the line: .*x @ x"),
        (raises(ValueError("first\nsecond")), "raised ValueError: first .in the line"),
        (lambda x: exit(0), "leaves the program"),
        (raises(SystemExit), "leaves the program"),
        (lambda x: print(2 * x), "use return, not print"),
        (changes, "work on a copy"),
        (lambda x: "twice", "expected numbers, got 'twice'"),
        (lambda x: [2 * x], "expected numbers, got a list of 1"),
        (lambda x: {"x": 2 * x}, "expected numbers, got a dict of 1"),
        (lambda x: x * 2j, "expected real numbers"),
        (lambda x: (2 * x).to_sparse(), "a tensor of shape"),
        (lambda x: torch.full((2, 3), float("nan")), "differs by up to nan"),
    ],
)
def test_a_wrong_answer_gets_a_sentence(answer, hint, capsys):
    with pytest.raises(CheckFailed, match="Exercise 8.2: .*" + hint) as failure:
        check_double(answer)
    assert "\n" not in str(failure.value)
    assert failure.value.outcome.result == "wrong" and failure.value.outcome.points == 0


def test_a_form_that_no_check_foresaw_is_described(capsys):
    @exercise("Exercise 1.1")
    def check_pair(pair):
        first, second = ask(pair)
        expect(first.shape == second.shape, "shapes differ")

    with pytest.raises(CheckFailed, match="your answer gives 3, which can't be compared"):
        check_pair(lambda: 3)
    with pytest.raises(CheckFailed, match="gives a tuple of 2"):
        check_pair(lambda: (1, 2))


def test_a_defect_of_a_check_is_no_wrong_answer():
    @exercise("Exercise 1.1")
    def check_badly(function):
        undefined  # noqa: B018, F821

    with pytest.raises(NameError):
        check_badly(lambda: 1)


def test_arguments_of_every_kind_are_watched():
    def run(spoil, *arguments, by=ask):
        @exercise("Exercise 1.1")
        def check(function):
            by(function, *arguments)

        return check.judge(spoil).result

    def spoil(x):
        x[0] = x[1]
        return 1

    for argument in (
        torch.tensor([1.0, 2.0]),
        torch.tensor([float("nan"), 2]),
        np.array([1, 2]),
        [1, 2],
        {0: 1, 1: 2},
    ):
        assert run(spoil, argument) == "wrong"
        assert run(lambda x: 1, argument) == "correct"
    assert run(lambda x: x[0].add_(1).sum(), [torch.ones(2)]) == "wrong"
    assert run(spoil, [1, 2], by=ask_in_place) == "correct"


def test_results_are_plain():
    assert type(ask(lambda: np.float64(0.5))) is float
    assert type(ask(lambda: np.int32(5))) is int
    assert ask(lambda: {"a": [torch.ones(2).double()]})["a"][0].dtype == torch.float32
    assert ask(lambda: torch.ones(2, dtype=torch.bool)).dtype == torch.bool
    assert isinstance(ask(lambda: np.ones(3)), np.ndarray)  # no tensor came in
    assert ask(lambda x: (1, 2), torch.ones(1)) == (1, 2)
    assert torch.equal(ask_tensor("ones", lambda: [1.0, 1.0]), torch.ones(2))
    with pytest.raises(CheckFailed, match="expected a tensor, got a list of 2"):
        ask_tensor("ones", lambda: ["a", [1]])


def test_an_array_where_a_number_belongs():
    with pytest.raises(CheckFailed, match=r"expected 3, got a tensor of shape \(2,\)"):
        expect_equal("count", torch.tensor([3, 3]), 3)


def test_inputs_are_new_at_every_call_and_repeatable_by_seed():
    seen = []

    def decorated(label):
        @exercise(label)
        def check(function):
            seen.append((torch.rand((), generator=draw()).item(), draw_numpy().random()))

        return check

    first, second = decorated("Exercise 1.1"), decorated("Exercise 1.2")
    for check, seed in ((first, 3), (first, 3), (second, 3), (first, 4), (first, None)):
        check.judge(len, seed=seed)
    assert seen[0] == seen[1] and len(set(seen)) == 4


def test_a_check_leaves_the_random_states_alone():
    @exercise("Exercise 1.1")
    def check(function):
        ask(function)

    def reseed():
        torch.manual_seed(0), np.random.seed(0), random.seed(0)
        return 1

    before = torch.rand(3), np.random.get_state()[1].copy(), random.getstate()
    state = torch.get_rng_state()
    check.judge(reseed)
    assert torch.equal(torch.get_rng_state(), state) and random.getstate() == before[2]
    assert np.array_equal(np.random.get_state()[1], before[1])
    for draws in (lambda: torch.rand(1), lambda: np.random.rand(), lambda: random.random()):
        with pytest.raises(CheckFailed, match="global random state"), random_state_untouched():
            draws()


def test_a_cell_that_ends_in_a_check_shows_no_second_output():
    from IPython.core.interactiveshell import InteractiveShell

    shown, _ = InteractiveShell.instance().display_formatter.format(check_double.judge(len))
    assert shown == {}


@pytest.mark.parametrize("notebook", sorted(p.stem[10:] for p in FOLDER.glob("solutions_*.py")))
def test_numbers_and_names_agree_with_notebook_and_solutions(notebook):
    about = [check.exercise for check in CHECKS if check.exercise.sheet == notebook[:2]]
    assert len({e.number for e in about}) == len(about) > 0
    assert names_in_the_notebook(notebook) == {
        check.__name__: check.exercise.answer
        for check in CHECKS
        if check.exercise.sheet == notebook[:2]
    }
    assert {e.answer for e in about} <= set(solutions(notebook))
    for check in CHECKS:
        if check.exercise.sheet == notebook[:2]:
            outcome = check.judge(solutions(notebook)[check.exercise.answer])
            assert (outcome.result, outcome.hint) == ("correct", "")
            assert outcome.points == outcome.out_of > 0
