"""What MGFF's parts bring, and what the second stage brings, on photographs and on drawn birds.

Every choice (learning rates, epochs) is made on a validation split of the training images, with at
least as many trials for the baseline as for the others; then a head is trained on all training
images, and the test images are looked at once a seed. The backbone stays frozen, so the numbers
speak of the heads; see `frozen_features` for why.
"""

import logging
from dataclasses import replace
from itertools import product

import numpy as np
import torch

from ..support.errors import InputError
from .frozen_heads import HeadRecipe, predict_head

logger = logging.getLogger(__name__)

TWO_STAGE = ("baseline", "mgff")
# of the crops: the ViT, annotated boxes (ceiling), a fixed box (floor)
SOURCES = ("cropper", "truth", "central")
# names of what is stored of one model: the whole image, each crop, and both
LOOKS = ["stage1", *(f"{look}-{source}" for source in SOURCES for look in ("stage2", "merged"))]
LENGTHS = (12, 36)  # epochs that are tried
# training images, from which the short length alone is tried: it has more steps than both with 600
# images
MANY = 3000
# the plain baseline costs nothing, so all its rates are tried at both lengths; of the others' rates
# the best
TRIALS = {
    "baseline": [
        HeadRecipe(lr=lr, epochs=epochs)
        for epochs in LENGTHS
        for lr in (3e-4, 1e-3, 3e-3, 1e-2, 3e-2)
    ],
    "others": [HeadRecipe(new_lr=new_lr, epochs=LENGTHS[0]) for new_lr in (3e-4, 1e-3, 3e-3, 1e-2)],
}


def tune(study, results, configuration, lengths=None, others=None):
    """The best of the trials on the validation images (seed 0): a `HeadRecipe`.

    Args:
        lengths: numbers of epochs instead of the usual ones. others: trials of heads other than
            the baseline.
    """
    configuration = tuned_as(configuration)
    truth = study.labels[study.validation]

    def run(trial):
        head = study.trained(configuration, trial, 0, study.fit)
        probabilities = predict_head(head, study.view("train", "whole"), study.validation)
        return scores_of(probabilities, truth), len(truth), study.cost(configuration)

    lengths = lengths or (LENGTHS if len(study.train) < MANY else LENGTHS[:1])
    plain = [trial for trial in TRIALS["baseline"] if trial.epochs in lengths]
    if configuration == "baseline":
        return best_of(results, configuration, plain, run)
    # The linear layer keeps the rate that suits the baseline at this length; that of the new layers
    # is tuned.
    tune(study, results, "baseline")
    short = [trial for trial in plain if trial.epochs == LENGTHS[0]]
    lr = best_of(results, "baseline", short, run).lr
    trials = [replace(trial, lr=lr) for trial in others or TRIALS["others"]]
    best = best_of(results, configuration, trials, run)
    trials += [replace(best, epochs=epochs) for epochs in lengths[1:]]
    return best_of(results, configuration, trials, run)


def screen(study, results, seeds, configurations):
    """Experiment ``granularities-cub20``: each configuration at two rates for its new layers, on
    validation images alone; nothing is trained on all images, and no test image is looked at.
    """
    for configuration in configurations:
        tune(study, results, configuration, LENGTHS[:1], TRIALS["others"][1:3])


def tuned_as(configuration):
    """Whose recipe a configuration takes: without one part, that of the complete one, to differ in
    that part alone.
    """
    return "mgff" if configuration.startswith("mgff-no-") else configuration


def best_of(results, configuration, trials, run, split="validation"):
    """The trial with the best validation accuracy, the lower log-loss among equals.

    Args:
        results: `Results`; trials that it holds are not repeated, the others are added to it.
        trials: whose text (``str``) names them in the results.
        run: trial -> (dict of accuracy and log-loss, number of images, cost of a row).
        split: of their rows.
    """

    def known():
        mine = (configuration, split)
        return {r.metric: r.value for r in results.rows if (r.configuration, r.split) == mine}

    for trial in trials:
        if f"accuracy at {trial}" not in known():
            if not results.chooses:
                raise InputError(
                    f"{results.path} holds no trials of {configuration} at {trial}, and nothing is "
                    "chosen on these images; run the experiment on the first classes, with the "
                    "same backbone and --out, before this one."
                )
            values, n, cost = run(trial)
            results.add_values(
                {f"{metric} at {trial}": value for metric, value in values.items()},
                configuration=configuration,
                split=split,
                n=n,
                **cost,
            )
            share = 100 * values["accuracy"]
            logger.info(f"tuning {configuration}: {trial}: {share:.1f} % of {n} validation images")
    found = known()

    def score(trial):
        return found[f"accuracy at {trial}"], -found[f"log-loss at {trial}"]

    return max(trials, key=score)


def fusion(study, results, seeds, configurations):
    """Experiment ``fusion-cub20``: each configuration trained with each seed, accuracy on the whole
    test images.
    """
    truth = torch.tensor(study.test.labels)
    for configuration, seed in results.missing(configurations, seeds):
        recipe = tune(study, results, configuration)
        head = study.trained(configuration, recipe, seed)
        probabilities = predict_head(head, study.view("test", "whole"))
        cost = study.cost(configuration)
        add_result(results, configuration, seed, "test", probabilities, truth, cost)
        share = 100 * scores_of(probabilities, truth)["accuracy"]
        logger.info(f"{configuration}, seed {seed}: {share:.1f} %")


def two_stage(study, results, seeds, configurations):
    """Experiment ``two-stage-cub20``: whole image, crop, and both merged, for three sources of
    crops.

    ``<head>/<training>/stage1`` is the whole image alone; ``stage2-<source>`` the crop alone,
    ``merged-<source>`` the mean of both probabilities. Sources: the ViT ``cropper``; ``truth``, the
    annotated boxes (ceiling); ``central``, a fixed box in the middle (floor). Training: on
    ``whole`` images with random crops, or with the ``crops`` too.
    """
    for training, seed, configuration in product(("whole", "crops"), seeds, configurations):
        run = f"{configuration}/{training}"
        if has_looks(results, run, seed):
            continue
        recipe = tune(study, results, configuration)
        head = study.trained(configuration, recipe, seed, crops=training == "crops")
        kinds = ("whole", *SOURCES)
        found = {kind: predict_head(head, study.view("test", kind)) for kind in kinds}
        add_looks(study, results, run, seed, found, study.cost(configuration))


def has_looks(results, run, seed):
    """Whether all rows of `add_looks` are there."""
    return all(results.has(f"{run}/{look}", seed) for look in LOOKS)


def add_looks(study, results, run, seed, found, cost):
    """Store what one trained model says of the whole test images, of their crops, and of both.

    Args:
        found: (N, K) class probabilities of the ``"whole"`` images and of the crops of each of
            `SOURCES`.
    """
    truth, stage1 = torch.tensor(study.test.labels), found["whole"]
    looks = {"stage1": stage1}
    for source in SOURCES:
        stage2 = found[source]
        looks |= {f"stage2-{source}": stage2, f"merged-{source}": (stage1 + stage2) / 2}
    boxes = {"boxes-cropper/test": study.boxes("test", "cropper").round().astype(np.int16)}
    for look, probabilities in looks.items():
        if not results.has(f"{run}/{look}", seed):
            add_result(results, f"{run}/{look}", seed, "test", probabilities, truth, cost, boxes)
    shares = (f"{k} {100 * scores_of(p, truth)['accuracy']:.1f}" for k, p in looks.items())
    logger.info(f"{run}, seed {seed}: {', '.join(shares)}")


def add_result(results, configuration, seed, split, probabilities, truth, cost, arrays=None):
    """Two rows (accuracy, log-loss) and the predicted classes of one run; ``arrays`` are stored
    beside them.
    """
    predictions = {
        f"{configuration}/{seed}/{split}": probabilities.argmax(1).numpy().astype(np.uint8),
        f"labels/{split}": truth.numpy().astype(np.uint8),
        **(arrays or {}),
    }
    row = dict(configuration=configuration, seed=seed, split=split, n=len(truth), **cost)
    results.add_values(scores_of(probabilities, truth), predictions, **row)


def scores_of(probabilities, truth):
    """Accuracy and log-loss of (N, K) class probabilities."""
    right = (probabilities.argmax(1) == truth).double()
    loss = -probabilities[torch.arange(len(truth)), truth].clamp_min(1e-12).log()
    return {"accuracy": round(right.mean().item(), 6), "log-loss": round(loss.mean().item(), 4)}
