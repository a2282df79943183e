"""Every check against many wrong answers: mutants of its solution, the mistakes that it knows, and
what goes wrong in any function. Each must be refused; a hint must name what was done.
"""

import copy
import importlib
import os
import random
from fractions import Fraction

import numpy as np
import pytest
import torch
from equivalent_mutants import EQUIVALENT
from exercises import CHECKS, source
from mutants import load, mutants, verdict
from PIL import Image
from wrong_answers import WRONG

LONG = os.environ.get("MGFF_MUTANTS") == "all"  # all mutants and seeds take some minutes
# Checks of properties, which no single result settles: a split, an ablation, a backbone.
WITHOUT_TABLE = {"9.3", "9.4", "13.3", "14.4"}
TABLED = [check for check in CHECKS if check.exercise.number not in WITHOUT_TABLE]

every = pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.exercise.number)
tabled = pytest.mark.parametrize("check", TABLED, ids=lambda check: check.exercise.number)


def solution(check):
    return load(source(check.exercise.sheet), check.exercise.answer)


def known_mistakes(check, monkeypatch):
    """The pairs (hint, function) that a check hands to `compare`."""
    module, found = importlib.import_module(check.__module__), []

    def note(answer, reference, asked, mistakes=(), **options):
        found.extend(mistakes)

    with monkeypatch.context() as patch:
        patch.setattr(module, "compare", note)
        check.judge(solution(check), seed=0)
    return found


@every
def test_the_solution_is_correct_whatever_is_drawn(check):
    for seed in range(12 if LONG else 4):
        outcome = check.judge(solution(check), seed=seed)
        assert (outcome.result, outcome.hint) == ("correct", ""), seed


@every
def test_mutants_of_the_solution_are_refused(check):
    """Those in `EQUIVALENT` give the same result on every input that the text admits."""
    name, allowed = check.exercise.answer, EQUIVALENT.get(check.exercise.number, set())
    made = [
        (w, text) for w, text in mutants(source(check.exercise.sheet), name) if w not in allowed
    ]
    assert len(made) >= 7
    if not LONG:
        made = made[:: -(-len(made) // 10)]
    accepted = {what for what, text in made if verdict(check, text, name)[0] != "wrong"}
    assert not accepted


@tabled
def test_known_mistakes_are_refused_and_named(check, monkeypatch):
    mistakes = known_mistakes(check, monkeypatch)
    assert len(mistakes) >= 3 and len({hint for hint, _ in mistakes}) == len(mistakes)
    for hint, make in mistakes:
        for seed in range(2 if LONG else 1):
            outcome = check.judge(in_table_form(check, make), seed=seed)
            assert outcome.result == "wrong", hint
            assert outcome.hint.endswith(hint) or outcome.raised, (hint, outcome.hint)


@every
def test_what_students_hand_in_is_refused_with_words_that_fit(check):
    for answer, words in WRONG[check.exercise.number]:
        outcome = check.judge(answer)
        assert outcome.result == "wrong"
        assert any(part in outcome.hint for part in words.split("|")), (words, outcome.hint)


def in_table_form(check, make):
    """The reader's function that makes a mistake of the table; 14.2 has a model in its place."""
    if check.exercise.number != "14.2":
        return make

    def accumulate(model, images, labels, size):
        got = make(model.weight.detach(), model.bias.detach(), images, labels, size)
        model.weight.grad, model.bias.grad = got[0], got[1]
        return got[2]

    return accumulate


def spoiled(value):
    """``value`` changed in place, if it can be."""
    if isinstance(value, torch.Tensor) and value.numel():
        value.view(-1)[0] = (
            value.view(-1)[0] + 1 if value.dtype != torch.bool else ~value.view(-1)[0]
        )
    elif isinstance(value, np.ndarray) and value.size:
        value.flat[0] = not value.flat[0] if value.dtype == bool else value.flat[0] + 1
    elif isinstance(value, list) and value:
        value.append(value[0])
    elif isinstance(value, dict) and value:
        value.pop(next(iter(value)))
    else:
        return False
    return True


def reseeding(function):
    def run(*arguments):
        torch.manual_seed(0)
        return function(*arguments)

    return run


def consuming(function):
    def run(*arguments):
        random.random(), np.random.rand()
        return function(*arguments)

    return run


@every
def test_side_effects_are_refused(check):
    right, changeable = solution(check), []

    def spoiling(*arguments):
        result = copy.deepcopy(right(*arguments))
        changeable.append(any([spoiled(value) for value in arguments]))
        return result

    if check.exercise.number != "9.4":  # builds a module; its initial weights are random
        for careless in (reseeding(right), consuming(right)):
            outcome = check.judge(careless)
            assert outcome.result == "wrong" and "random state" in outcome.hint
        outcome = check.judge(spoiling)
        assert (outcome.result == "wrong") == any(changeable)
        assert "copy" in outcome.hint or not any(changeable)


def lists(value):
    """A result with lists in place of tensors and arrays."""
    if isinstance(value, (torch.Tensor, np.ndarray)):
        return value.tolist()
    return [lists(v) for v in value] if isinstance(value, (list, tuple)) else value


def doubled(value):
    """A result in double precision."""
    if isinstance(value, torch.Tensor) and value.is_floating_point():
        return value.double()
    if isinstance(value, float):
        return np.float64(value)
    return type(value)(map(doubled, value)) if type(value) in (list, tuple) else value


@every
@pytest.mark.parametrize("form", [lists, doubled])
def test_a_right_answer_in_another_form_is_correct(check, form):
    right = solution(check)
    if check.exercise.number not in {"3.3", "9.4"}:  # booleans are asked for; a module
        outcome = check.judge(lambda *arguments: form(right(*arguments)))
        assert (outcome.result, outcome.hint) == ("correct", "")


def in_type(dtype):
    """Tensors of floating point in another type, Python's floats in NumPy's of that type."""

    def change(value):
        if isinstance(value, torch.Tensor) and value.is_floating_point():
            return value.nan_to_num().to(dtype)
        if isinstance(value, float) and dtype != torch.bfloat16:
            return torch.tensor(value).to(dtype).numpy()[()]
        return type(value)(map(change, value)) if type(value) in (list, tuple) else value

    return change


def holds_fractions(value):
    """Has a result numbers of floating point that are not whole?"""
    if isinstance(value, (list, tuple)):
        return any(map(holds_fractions, value))
    floating = isinstance(value, float) or (
        isinstance(value, torch.Tensor) and value.is_floating_point()
    )
    return floating and bool((torch.as_tensor(value).frac() != 0).any())


@every
@pytest.mark.parametrize(
    "dtype, words",
    [
        (torch.float16, "digits or so that float16 keeps"),
        (torch.bfloat16, "digits or so that bfloat16 keeps"),
        (torch.complex64, "The real parts are right"),
        (torch.int64, "what follows the point is lost"),
    ],
)
def test_a_hint_names_the_type_that_spoils_a_right_answer(check, dtype, words):
    """Never a mistake that was not made. 14.2 is judged by gradients."""
    right, fractions = solution(check), []

    def answer(*arguments):
        result = right(*arguments)
        fractions.append(holds_fractions(result))
        return in_type(dtype)(result)

    if check.exercise.number not in {"9.4", "14.2"}:
        outcome = check.judge(answer, seed=1)
        if outcome.result == "wrong":
            rounded = "Don't round" in outcome.hint  # a known mistake, and the same thing
            assert words in outcome.hint or rounded, outcome.hint
            assert any(fractions) or dtype == torch.complex64
        elif dtype == torch.complex64:
            assert not any(fractions)


@tabled
@pytest.mark.parametrize("form", [lambda v: torch.tensor([v]), str, Fraction, np.float32])
def test_a_number_in_another_form(check, form):
    right, given = solution(check), []

    def answer(*arguments):
        result = right(*arguments)
        given.append(type(result))
        return form(result) if type(result) in (int, float) else result

    if check.exercise.number != "14.2":
        outcome = check.judge(answer, seed=1)
        if not {int, float} & set(given):
            assert outcome.result == "correct"
        elif form is str:
            assert outcome.hint.endswith("That is text, and numbers are asked for.")
        elif form in (Fraction, np.float32):
            assert outcome.result == "correct" or "Use integers" in outcome.hint, outcome.hint
        else:
            assert outcome.hint.endswith("return it alone: .item() does so.")


JUNK = [
    ("text", lambda *a: "0"),
    ("nothing in a list", lambda *a: []),
    ("a number", lambda *a: 12345.678),
    ("nan", lambda *a: float("nan")),
    ("a dict", lambda *a: {"answer": 1}),
    ("an object", lambda *a: object()),
    ("an empty tensor", lambda *a: torch.zeros(0)),
    ("a large tensor", lambda *a: torch.zeros(3, 4, 5, 6)),
    ("complex numbers", lambda *a: torch.ones(2, dtype=torch.complex64)),
    ("its first argument", lambda *a: a[0] if a else 0),
    ("its last argument", lambda *a: a[-1] if a else 0),
    ("an error", lambda *a: 1 / 0),
    ("too few parameters", lambda: 1),
]


@every
@pytest.mark.parametrize("answer", [a for _, a in JUNK], ids=[name for name, _ in JUNK])
def test_junk_gets_a_sentence(check, answer):
    outcome = check.judge(answer)
    assert outcome.result == "wrong" and len(outcome.hint) > 20
    assert "\n" not in outcome.hint


def fingerprint(value):
    """Text that tells two inputs apart."""
    if isinstance(value, (list, tuple)):
        return str([fingerprint(v) for v in value])
    return str(value.tobytes() if isinstance(value, Image.Image) else value)


@tabled
def test_two_calls_draw_different_inputs_and_a_seed_repeats_them(check):
    def seen(**options):
        inputs, right = [], solution(check)
        check.judge(lambda *a: inputs.append(fingerprint(a)) or right(*a), **options)
        return inputs

    assert seen(seed=1) == seen(seed=1)
    assert seen(seed=1) != seen(seed=2)
    first = seen()  # some checks draw a single small number, so two calls may agree by chance
    assert any(seen() != first for _ in range(20))


def test_tables_are_long_enough(monkeypatch):
    """Wrong answers per exercise: mutants, known mistakes, junk, and the side effects above."""
    for check in CHECKS:
        made = len(mutants(source(check.exercise.sheet), check.exercise.answer))
        made -= len(EQUIVALENT.get(check.exercise.number, ()))
        known = len(known_mistakes(check, monkeypatch)) if check in TABLED else 0
        assert made + known + len(JUNK) + 3 >= 20, check.exercise.number
    assert set(EQUIVALENT) <= {check.exercise.number for check in CHECKS}
