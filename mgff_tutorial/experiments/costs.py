"""What each head costs: parameters, FLOPs and time, measured in turn in one run, so that the ratios
can be trusted.
"""

import logging

import numpy as np

from .studies import median_cost

logger = logging.getLogger(__name__)

METRIC = "times the linear head"
ROUNDS = 25


def costs(study, results, seeds, configurations):
    """Experiments ``cost-cub20`` and ``cost-sketchbirds``: the time of each head on its backbone,
    over the linear head's.

    Nothing is trained and chance plays no part, so there is one row for a configuration, whatever
    ``seeds`` asks for.
    """
    if not results.missing(configurations, [0]):
        return
    names = dict.fromkeys(["baseline", *configurations])  # a ratio needs both from the same run
    found = study.costs(names, ROUNDS)
    rows = []
    for name, times in found.items():
        # The median of ratios within a round: a machine that slows down for a while slows both.
        ratio = round(float(np.median(times["times"] / found["baseline"]["times"])), 3)
        cost = median_cost(times)
        row = dict(configuration=name, split="test", metric=METRIC, value=ratio, n=8 * ROUNDS)
        rows.append({**row, **cost})
        logger.info(
            f"{name}: {cost['params']:,} parameters, {1000 * cost['seconds']:.2f} ms an image"
        )
    results.add([row for row in rows if not results.has(row["configuration"], 0)])
