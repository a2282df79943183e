"""A run of `benchmark` as text, Markdown or JSON."""

import json
from dataclasses import asdict

from .profile import profile_rows

HEADER = (
    "model",
    "version",
    "step",
    "dtype",
    "batch",
    "images/s",
    "time / ours",
    "memory MiB",
    "GFLOP/image",
    "of ceiling",
)


def cells(row):
    """A row as text, in the order of ``HEADER``."""
    memory = "-" if row.memory_mib is None else f"{row.memory_mib:.0f}"
    ratio = f"{row.ratio:.2f}" + (f" (over {row.baseline})" if row.baseline != "ours" else "")
    return (
        f"{row.model} @ {row.size}",
        row.version,
        row.mode,
        row.dtype + (" compiled" if row.compiled else ""),
        str(row.batch),
        f"{row.images_per_s:.2f}",
        ratio,
        memory,
        f"{row.gflop_per_image:.2f}",
        f"{row.share_of_ceiling:.0%}",
    )


def layout(lines, style):
    """Lines of cells, the first of them the header, as a table of text or Markdown."""
    widths = [max(map(len, column)) for column in zip(*lines)]
    padded = [[cell.ljust(w) for cell, w in zip(line, widths)] for line in lines]
    padded.insert(1, ["-" * w for w in widths])
    if style == "markdown":
        return [f"| {' | '.join(line)} |" for line in padded]
    return ["  ".join(line).rstrip() for line in padded]


def report(rows, facts, style="text", profiles=None):
    """A run as ``"text"``, ``"markdown"`` or ``"json"``.

    Args:
        rows: list of `Row`. facts: `environment`.
        profiles: {title: {version: `time_by_kind`}}.
    """
    if style == "json":
        return json.dumps(
            {
                "environment": facts,
                "rows": [asdict(row) for row in rows],
                "profiles": profiles or {},
            },
            indent=1,
        )
    text = layout([HEADER, *map(cells, rows)], style)
    for title, versions in (profiles or {}).items():
        text += ["", f"Where the time goes: {title}", "", *layout(profile_rows(versions), style)]
    return "\n".join([*text, "", ", ".join(f"{key} {value}" for key, value in facts.items())])


def in_words(rows, rounds):
    """What was measured, in one sentence: how quick ours is, in images per second, beside timm's.

    Args:
        rows: list of `Row`. rounds: timings of each version.
    """
    said = []
    for row in rows:
        if row.version == "ours":
            same = (row.model, row.mode, row.dtype, row.compiled)
            others = [r for r in rows if (r.model, r.mode, r.dtype, r.compiled) == same]
            theirs = [f", timm {r.images_per_s:.1f}" for r in others if r.version == "timm"]
            kind = f"{row.model} @ {row.size}, {row.mode}, {row.dtype}"
            kind += " compiled" if row.compiled else ""
            said.append(f"{kind}: ours {row.images_per_s:.1f}{''.join(theirs)}")
    times = f"median of {rounds} rounds"
    return f"Measured {len(rows)} rows, images per second ({times}): {'; '.join(said)}."
