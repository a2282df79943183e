"""Checks of notebook 10: attention received, rollout, and the side of a cut that is the object."""

import torch

from .core import ask, exercise, expect, expect_close, expect_shape


def _matrices(layers=3, heads=2, tokens=8, seed=0):
    generator = torch.Generator().manual_seed(seed)
    return list(
        torch.randn(layers, heads, tokens, tokens, generator=generator).mul(2).softmax(dim=-1)
    )


@exercise("Exercise 10.1")
def check_importance(importance):
    """Column sums over patches, heads averaged, layers summed."""
    for prefix in (1, 3):
        matrices = _matrices(seed=prefix)
        stacked = torch.stack(matrices).mean(dim=1)
        patches = slice(prefix, None)
        right = stacked[:, patches, patches].sum(dim=(0, 1))
        got = ask(importance, [m.clone() for m in matrices], prefix)
        expect_shape(
            "importance",
            got,
            right.shape,
            f"With {prefix} token(s) before the patches, one number a patch.",
        )
        hint = ""
        if torch.allclose(got, stacked[:, patches, patches].sum(dim=(0, 2)), atol=1e-5):
            hint = "These are sums of rows: what a token gives. Sum columns: what it receives."
        elif torch.allclose(got, torch.full_like(got, got[0].item()), atol=1e-4):
            hint = "All the same: rows of a softmax always sum to 1. Sum the columns."
        elif torch.allclose(got, stacked[:, :, patches].sum(dim=(0, 1)), atol=1e-5):
            hint = "The prefix tokens still ask; drop their rows as well."
        elif torch.allclose(got, right * matrices[0].shape[0], atol=1e-4):
            hint = "Heads are averaged, not summed."
        elif torch.allclose(got, right / len(matrices), atol=1e-5):
            hint = "Layers are summed, not averaged."
        elif torch.allclose(got, stacked[-1, patches, patches].sum(dim=0), atol=1e-5):
            hint = "This is the last layer alone; the rule takes all of them."
        expect_close("importance", got, right, 1e-5, hint)


@exercise("Exercise 10.2")
def check_rollout(rollout):
    """Products of (A + I) / 2, last layer leftmost."""
    for prefix in (1, 3):
        matrices = _matrices(seed=10 + prefix)
        plain = [m.mean(dim=0) for m in matrices]
        eye = torch.eye(len(plain[0]))
        right = _product([(a + eye) / 2 for a in plain])[0, prefix:]
        got = ask(rollout, [m.clone() for m in matrices], prefix)
        expect_shape(
            "rollout", got, right.shape, "Return the class token's row without the prefix tokens."
        )
        wrong = {
            "The residual path is missing: add the identity and divide by 2.": _product(plain)[
                0, prefix:
            ],
            "The order is reversed: the last layer stands leftmost, it reads what the earlier "
            "ones made.": _product([(a + eye) / 2 for a in plain][::-1])[0, prefix:],
            "This is a column. The class token's ROW says what it has been made of.": _product(
                [(a + eye) / 2 for a in plain]
            )[prefix:, 0],
            "Divide A + I by 2, so that rows still sum to 1.": right * 2 ** len(plain),
        }
        hint = next(
            (text for text, value in wrong.items() if torch.allclose(got, value, atol=1e-5)), ""
        )
        expect_close("rollout", got, right, 1e-5, hint)


def _product(matrices):
    """The last matrix times the one before it, down to the first."""
    out = matrices[0]
    for matrix in matrices[1:]:
        out = matrix @ out
    return out


@exercise("Exercise 10.3", points=2)
def check_fiedler_side(object_side):
    """The side that covers more of the inside than of the border, on grids that are not square."""
    generator = torch.Generator().manual_seed(3)
    for rows, columns in ((6, 8), (9, 5)):
        bird = torch.zeros(rows, columns)
        bird[rows // 3 : rows - 1, 2 : columns - 2] = 1
        touching = torch.zeros(rows, columns)
        touching[2:, 2:4] = 1  # the bird touches the lower border
        large = torch.zeros(rows, columns)
        large[1:-1, 1:-1] = 1  # more patches of bird than of background
        for name, shape in (
            ("a bird", bird),
            ("a bird that touches the border", touching),
            ("a large bird", large),
        ):
            cut = (shape + 0.05 * torch.randn(rows, columns, generator=generator)).flatten()
            for sign in (1, -1):
                got = ask(object_side, sign * cut, (rows, columns))
                expect_shape(
                    "the cut", got, cut.shape, "Return all patches in one row, as they came."
                )
                expect(
                    torch.allclose(got.abs(), cut.abs(), atol=1e-6),
                    "the cut: its numbers changed; return cut or -cut, nothing else.",
                )
                hint = (
                    "Compare the SHARE of border patches with the share of inner patches, not "
                    "counts: there are "
                    "fewer of the one than of the other."
                )
                if sign == 1 and torch.allclose(got, -cut):
                    hint = "It was the right side already. " + hint
                expect(
                    torch.allclose(got, cut, atol=1e-6),
                    f"{name} on a grid of {rows} x {columns}, cut "
                    f"{'as it is' if sign == 1 else 'turned around'}: "
                    f"expected the bird's side positive, got the background's. {hint}",
                )
