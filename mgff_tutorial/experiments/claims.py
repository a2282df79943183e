"""The claims of the prose as contrasts over stored results: what, against what, with which bound.

``data/results/claims.yaml`` lists them and says what its keys mean. Intervals draw seeds and test
images anew (or species), p-values are corrected by Holm's method over all claims that were not
named before their first row.
"""

from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import yaml

from ..support.errors import DataError, InputError
from .grid import grid
from .intervals import holm, resampled_difference
from .results import Results

LEVEL = 0.05


@dataclass(frozen=True)
class Claim:
    """One contrast, ``first`` minus ``second``; ``splits`` of one file are averaged image by image,
    files are pooled.

    ``says="planned"`` is a contrast that was named before its first row; it has no outcome yet.
    """

    says: str
    results: list
    first: str
    second: str
    points: float = 0.0
    quotes: dict = field(default_factory=dict)
    draw: str = "images"
    splits: list = field(default_factory=lambda: ["test"])
    metric: str = "accuracy"
    below: float | None = None
    named: bool = False


@dataclass(frozen=True)
class Outcome:
    """What the stored results say of a `Claim`: ``p`` is corrected unless the claim was named."""

    claim: Claim
    estimate: object
    p: float
    agree: bool = True  # whether all files have the same sign

    @property
    def says(self):
        """One of "gain", "loss", "lead", "lag" or "open", as in the file of claims."""
        if self.estimate.low <= 0 <= self.estimate.high or not self.agree:
            return "open"
        kinds = ("gain", "loss") if self.p < LEVEL else ("lead", "lag")
        return kinds[self.estimate.mean < 0]

    @property
    def holds(self):
        """Whether the claim's words, number and bound are those of the results."""
        decimals = len(str(self.claim.points).partition(".")[2])
        bound = np.inf if self.claim.below is None else self.claim.below
        number = round(100 * self.estimate.mean, decimals) == self.claim.points
        return self.says == self.claim.says and number and 100 * self.estimate.high < bound


def read_claims(path):
    """The claims of a file: list of `Claim`.

    Raises:
        DataError: no such file, or not a list of claims.
    """
    try:
        return [Claim(**claim) for claim in yaml.safe_load(Path(path).read_text(encoding="utf-8"))]
    except (OSError, TypeError, yaml.YAMLError) as error:
        reason = " ".join(str(getattr(error, "strerror", None) or error).split())
        raise DataError(f"{path} cannot be read as a list of claims: {reason}.") from None


def outcomes(folder):
    """`Outcome` of each claim of ``claims.yaml`` in a folder with results files, but for planned
    ones.
    """
    claims = [c for c in read_claims(Path(folder) / "claims.yaml") if c.says != "planned"]
    names = dict.fromkeys(name for claim in claims for name in claim.results)
    files = {name: Results(folder, name) for name in names}
    blocks = [[_block(claim, files[name]) for name in claim.results] for claim in claims]
    found = [resampled_difference(b, c.draw == "species") for b, c in zip(blocks, claims)]
    p = np.array([one for _, one in found])
    open_ = [place for place, claim in enumerate(claims) if not claim.named]
    p[open_] = holm(p[open_])
    signs = [{np.sign(difference.mean()) for difference, _ in some} for some in blocks]
    return [
        Outcome(claim, found[i][0], float(p[i]), len(signs[i]) == 1)
        for i, claim in enumerate(claims)
    ]


def _block(claim, results):
    """Differences (seeds, images) of a claim in one file, and labels (images,)."""

    def stored(*names):
        for name in names:
            if name in results.predictions:
                return results.predictions[name]
        raise DataError(f"{results.predictions_path} lacks {names[0]!r}, which a claim names.")

    pair, parts = (claim.first, claim.second), []
    if claim.metric != "accuracy":
        first, second = (stored(f"{name}/{claim.splits[0]}/{claim.metric}") for name in pair)
        return (first - second)[None].astype(float), np.arange(len(first))
    for split in claim.splits:
        labels = stored(f"labels/{split}", f"{split}:truth")
        first, second = (
            sorted({row.seed for row in results.rows if row.key[::2] == (name, split)})
            for name in pair
        )
        if not first or first != second:
            raise InputError(
                f"{results.path}: {claim.first} was run with seeds {first} and {claim.second} with "
                f"seeds {second} on {split}; a claim needs the same seeds."
            )
        right = [[stored(f"{name}/{s}/{split}") == labels for s in first] for name in pair]
        parts.append(np.subtract(*np.array(right, dtype=float)))
    return np.mean(parts, axis=0), labels


def claims_table(folder):
    """The claims as Markdown: difference with its interval, corrected p, and what may be said."""

    def cells(outcome):
        claim, e = outcome.claim, outcome.estimate
        interval = f"{100 * e.mean:+.1f} ({100 * e.low:+.1f} to {100 * e.high:+.1f})"
        said = outcome.says
        if not outcome.holds:
            bound = "" if claim.below is None else f", at most {claim.below}"
            said += f", but the text says {claim.says}, {claim.points} points{bound}"
        where = ", ".join(claim.results)
        return f"{claim.second} | {where} | {claim.draw} | {interval} | {outcome.p:.4f} | {said}"

    titles = "against | results | drawn anew, beside seeds | points | p, Holm | verdict"
    return grid("what", [(o.claim.first, o) for o in outcomes(folder)], [(titles, cells)])
