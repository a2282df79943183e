"""What each head costs: parameters, FLOPs and time, measured in turn in one run, so that the ratios
can be trusted.
"""

import numpy as np

from .studies import median_cost

ROUNDS = 25


def costs(study, results, seeds, configurations, command, say=print):
    """Experiments ``cost-cub20`` and ``cost-sketchbirds``: the time of each head on its backbone,
    over the linear head's.

    Nothing is trained and chance plays no part, so there is one row for a configuration, whatever
    ``seeds`` asks for.
    """
    if not results.missing(configurations, [0]):
        return
    names = list(
        dict.fromkeys(["baseline", *configurations])
    )  # a ratio needs both from the same run
    found = study.costs(names, ROUNDS)
    # The median of ratios within a round: a machine that slows down for a while slows both.
    ratios = {
        name: float(np.median(cost["times"] / found["baseline"]["times"]))
        for name, cost in found.items()
    }
    rows = {name: median_cost(cost) for name, cost in found.items()}
    results.add(
        [
            dict(
                configuration=name,
                seed=0,
                split="test",
                metric="times the linear head",
                value=round(ratios[name], 3),
                n=8 * ROUNDS,
                command=command,
                **rows[name],
            )
            for name in names
            if not results.has(name, 0)
        ]
    )
    for name in names:
        say(
            f"{name}: {rows[name]['params']:,} parameters, {1000 * rows[name]['seconds']:.2f} "
            f"ms an image"
        )


def costs_table(columns, labels):
    """A Markdown table of parameters, FLOPs and time relative to the linear head's, whose own
    stands beside it.

    Args:
        columns: title (of a backbone) -> rows of its results file.
        labels: what the table calls a configuration -> its name; those without a row in any column
            are left out.
    """
    header = "".join(f" {title}: trained parameters | FLOPs an image | time |" for title in columns)
    lines = [f"| |{header}", "|---|" + "---|---|---|" * len(columns)]
    for text, name in labels.items():
        found = [
            next((row for row in rows if row.configuration == name), None)
            for rows in columns.values()
        ]
        if any(found):
            lines.append(f"| {text} | {' | '.join(' | '.join(_cells(row)) for row in found)} |")
    return "\n".join(lines)


def _cells(row):
    if row is None:
        return "not run", "", ""
    time = f"{row.value:.2f}" + (
        f" ({1000 * row.seconds:.1f} ms)" if row.configuration == "baseline" else ""
    )
    return f"{row.params / 1e6:.3f} M", f"{row.flops / 1e9:.3f} G", time
