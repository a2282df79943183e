"""One look and two on photographs, measured twice: on the classes on which every choice was made,
and on other classes, on which nothing is chosen.

A recipe is chosen by cross-validation on the training images, one rate after the other, each with a
worse one on both sides. What is found on the first classes counts where the second agree.
"""

import logging
from dataclasses import replace
from functools import partial

from .ablation import LENGTHS, SOURCES, add_looks, best_of, has_looks, scores_of
from .frozen_heads import HeadRecipe, predict_head
from .padding import cross_validate
from .studies import last_map_of

logger = logging.getLogger(__name__)

USUAL = ("baseline", "mlp-control", "mgff")
FOLDS, SPLIT = 3, "three folds"  # of the training images
RATES = (1e-4, 3e-4, 1e-3, 3e-3, 1e-2, 3e-2, 1e-1)
START = HeadRecipe(lr=3e-3, new_lr=3e-3, epochs=LENGTHS[0])
PLAIN = ("baseline", "mlp-control")  # see no map, and cost so little that both lengths are tried


def looks(study, results, seeds, configurations):
    """Experiments ``looks-cub20`` and ``looks-cub15``: rows as those of `ablation.two_stage`, named
    ``<configuration>/<look>``; heads are trained on whole images and random rectangles of them.
    """
    for configuration, seed in [(c, s) for s in seeds for c in configurations]:
        if has_looks(results, configuration, seed):
            continue
        recipe = choose(study, results, configuration)
        head, last = study.trained(configuration, recipe, seed), last_map_of(configuration)
        kinds = ("whole", *SOURCES)
        found = {kind: predict_head(head, study.view("test", kind, last)) for kind in kinds}
        cost = study.cost(configuration)
        add_looks(study, results, configuration, seed, found, cost)


def choose(study, results, configuration):
    """The recipe of a configuration: a `HeadRecipe`.

    The classifier's rate is the baseline's where the head starts as the baseline. The rate of the
    new layers follows, and then, where the classifier reads something else, its own.
    """

    def run(recipe):
        train = partial(study.trained, configuration, recipe, 0)
        view = study.view("train", "whole", last_map_of(configuration))
        return validate(study, train, view, study.cost(configuration))

    def best(trials):
        return best_of(results, configuration, trials, run, SPLIT)

    if configuration == "baseline":
        recipe = bracketed(START, "lr", best)
    else:
        recipe = replace(START, lr=choose(study, results, "baseline").lr)
        recipe = bracketed(recipe, "new_lr", best)
        if last_map_of(configuration) == "stage":
            recipe = bracketed(recipe, "lr", best)
    if configuration in PLAIN:
        recipe = best([recipe, *(replace(recipe, epochs=epochs) for epochs in LENGTHS[1:])])
    return recipe


def bracketed(recipe, rate, best):
    """Walk along `RATES` until the rates beside the best one are both worse, or the row ends.

    Args:
        recipe: where to start. rate: name of the field that changes.
        best: list of recipes -> the best of them.
    """
    while True:
        place = RATES.index(getattr(recipe, rate))
        beside = RATES[max(place - 1, 0) : place + 2]
        found = best([recipe, *(replace(recipe, **{rate: value}) for value in beside)])
        if found == recipe:
            return recipe
        recipe = found


def validate(study, train, view, cost):
    """What `best_of` asks of a trial: scores on one view of all training images, each predicted by
    a head that did not see it.

    Args:
        train: indices of the images to train on -> head.
    """
    found = cross_validate(study, FOLDS, 0, train, [view])[0]
    return scores_of(found, study.labels), len(study.labels), cost
