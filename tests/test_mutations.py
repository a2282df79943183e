"""The list of mutants itself: each finds its place in the package, and is another program there."""

import ast

import mutations
import pytest


def test_every_mutant_finds_its_place_once():
    assert mutations.check() == []


@pytest.mark.parametrize(
    "text, old, new, broken",
    [
        ("y = f(a,  b)  # why", "f(a, b)", "f(b, a)", "y = f(b, a)"),
        ("y[i] = 1\nz = 'a'", 'z = "a"', "pass", "y[i] = 1\npass"),
        ("def g():\n    a()\n\n    b()\n    c()", "a()\nb()", "b()", "def g():\n    b()\n    c()"),
        ("y[i] = 1", "y[i]", "y[0]", "y[0] = 1"),
        ("if a:\n    b()", "a", "not a", "if not a:\n    b()"),
    ],
)
def test_code_is_found_whatever_its_layout(text, old, new, broken):
    assert mutations.mutate(text, old, new) == (broken, 1)


def test_code_that_is_not_there_or_there_twice_is_counted():
    assert mutations.mutate("a = f(1)", "f(2)", "f(3)")[1] == 0
    assert mutations.mutate("a = f(1) + f(1)", "f(1)", "f(3)")[1] == 2


def test_every_mutant_changes_the_program():
    for name, _, old, new, _ in mutations.MUTANTS:
        assert ast.dump(ast.parse(old)) != ast.dump(ast.parse(new)), name
