"""What MGFF's parts bring, and what the second stage brings, on photographs and on drawn birds.

Every choice (learning rates, epochs) is made on a validation split of the training images, with at
least as many trials for the baseline as for the others; then a head is trained on all training
images, and the test images are looked at once a seed. The backbone stays frozen, so the numbers
speak of the heads; see `frozen_features` for why.
"""

from dataclasses import replace

import numpy as np
import torch

from .frozen_heads import HeadRecipe, predict_head

TWO_STAGE = ("baseline", "mgff")
SOURCES = (
    "cropper",
    "truth",
    "central",
)  # of the crops: the ViT, annotated boxes (ceiling), a fixed box (floor)
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


def tune(study, results, configuration, command, say=print):
    """The best of the trials on the validation images (seed 0); trials that the results file holds
    are not repeated.

    Returns:
        `HeadRecipe`.
    """
    configuration = tuned_as(configuration)
    lengths = LENGTHS if len(study.train) < MANY else LENGTHS[:1]
    trials = [trial for trial in TRIALS["baseline"] if trial.epochs in lengths]
    if configuration != "baseline":
        # The linear layer keeps the rate that suits the baseline at this length; that of the new
        # layers is tuned.
        tune(study, results, "baseline", command, say)
        short = [trial for trial in trials if trial.epochs == LENGTHS[0]]
        lr = _best(results, "baseline", short).lr
        trials = [replace(trial, lr=lr) for trial in TRIALS["others"]]
        _try(study, results, configuration, trials, command, say)
        best = _best(results, configuration, trials)
        trials += [replace(best, epochs=epochs) for epochs in lengths[1:]]
    _try(study, results, configuration, trials, command, say)
    return _best(results, configuration, trials)


def tuned_as(configuration):
    """Whose recipe a configuration takes: without one part, that of the complete one, to differ in
    that part alone.
    """
    return "mgff" if configuration.startswith("mgff-no-") else configuration


def _try(study, results, configuration, trials, command, say):
    """Train by each recipe on part of the training images, and add its scores on the rest to the
    results.
    """
    known, truth = validation_scores(results, configuration), study.labels[study.validation]
    for trial in trials:
        names = f"accuracy at {trial}", f"log-loss at {trial}"
        if names[0] in known:
            continue
        head = study.trained(configuration, trial, 0, study.fit)
        probabilities = predict_head(head, study.view("train", "whole"), study.validation)
        values, cost = (
            (_accuracy(probabilities, truth), _log_loss(probabilities, truth)),
            study.cost(configuration),
        )
        results.add(
            [
                dict(
                    configuration=configuration,
                    seed=0,
                    split="validation",
                    metric=name,
                    value=value,
                    n=len(truth),
                    command=command,
                    **cost,
                )
                for name, value in zip(names, values)
            ]
        )
        say(
            f"tuning {configuration}: {trial}: {100 * values[0]:.1f} % of {len(truth)} "
            f"validation images"
        )


def _best(results, configuration, trials):
    """The trial with the best accuracy on the validation images, the lower log-loss among
    equals.
    """
    known = validation_scores(results, configuration)
    return max(
        trials, key=lambda trial: (known[f"accuracy at {trial}"], -known[f"log-loss at {trial}"])
    )


def validation_scores(results, configuration):
    """Metric (which names the recipe) -> value of a configuration on the validation images."""
    return {
        r.metric: r.value
        for r in results.rows
        if (r.configuration, r.split) == (configuration, "validation")
    }


def fusion(study, results, seeds, configurations, command, say=print):
    """Experiment ``fusion-cub20``: each configuration trained with each seed, accuracy on the whole
    test images.
    """
    truth = torch.tensor(study.test.labels)
    for configuration, seed in results.missing(configurations, seeds):
        recipe = tune(study, results, configuration, command, say)
        probabilities = predict_head(
            study.trained(configuration, recipe, seed), study.view("test", "whole")
        )
        add_result(
            results,
            configuration,
            seed,
            "test",
            probabilities,
            truth,
            study.cost(configuration),
            command,
        )
        say(f"{configuration}, seed {seed}: {100 * _accuracy(probabilities, truth):.1f} %")


def two_stage(study, results, seeds, configurations, command, say=print):
    """Experiment ``two-stage-cub20``: whole image, crop, and both merged, for three sources of
    crops.

    ``<head>/<training>/stage1`` is the whole image alone; ``stage2-<source>`` the crop alone,
    ``merged-<source>`` the
    mean of both probabilities. Sources: the ViT ``cropper``; ``truth``, the annotated boxes
    (ceiling); ``central``, a fixed box in the middle (floor). Training: on ``whole`` images with
    random crops, or with the ``crops`` too.
    """
    for training in ("whole", "crops"):
        runs = [f"{configuration}/{training}" for configuration in configurations]
        for run, seed in [(run, seed) for seed in seeds for run in runs]:
            if has_looks(results, run, seed):
                continue
            configuration = run.split("/")[0]
            recipe = tune(study, results, configuration, command, say)
            head = study.trained(configuration, recipe, seed, crops=training == "crops")
            add_looks(
                study,
                results,
                run,
                seed,
                lambda kind: predict_head(head, study.view("test", kind)),
                study.cost(configuration),
                command,
                say,
            )


def has_looks(results, run, seed):
    """Whether all rows of `add_looks` are there."""
    return all(results.has(f"{run}/{look}", seed) for look in _looks())


def add_looks(study, results, run, seed, predict, cost, command, say=print):
    """Store what one trained model says of the whole test images, of their crops, and of both.

    Args:
        predict: kind of view (``"whole"`` or one of `SOURCES`) -> (N, K) class probabilities.
    """
    truth, stage1 = torch.tensor(study.test.labels), predict("whole")
    found = {"stage1": stage1}
    for source in SOURCES:
        stage2 = predict(source)
        found |= {f"stage2-{source}": stage2, f"merged-{source}": (stage1 + stage2) / 2}
    boxes = {"boxes-cropper/test": study.boxes("test", "cropper").round().astype(np.int16)}
    for look, probabilities in found.items():
        if not results.has(f"{run}/{look}", seed):
            add_result(
                results, f"{run}/{look}", seed, "test", probabilities, truth, cost, command, boxes
            )
    say(
        f"{run}, seed {seed}: "
        + ", ".join(f"{look} {100 * _accuracy(p, truth):.1f}" for look, p in found.items())
    )


def _looks():
    return [
        "stage1",
        *(f"{stage}-{source}" for source in SOURCES for stage in ("stage2", "merged")),
    ]


def add_result(
    results, configuration, seed, split, probabilities, truth, cost, command, arrays=None
):
    """Two rows (accuracy, log-loss) and the predicted classes of one run; ``arrays`` are stored
    beside them.
    """
    values = {
        "accuracy": _accuracy(probabilities, truth),
        "log-loss": _log_loss(probabilities, truth),
    }
    results.add(
        [
            dict(
                configuration=configuration,
                seed=seed,
                split=split,
                metric=metric,
                value=value,
                n=len(truth),
                command=command,
                **cost,
            )
            for metric, value in values.items()
        ],
        {
            f"{configuration}/{seed}/{split}": probabilities.argmax(1).numpy().astype(np.uint8),
            f"labels/{split}": truth.numpy().astype(np.uint8),
            **(arrays or {}),
        },
    )


def _accuracy(probabilities, truth):
    return round((probabilities.argmax(1) == truth).double().mean().item(), 6)


def _log_loss(probabilities, truth):
    return round(
        -probabilities[torch.arange(len(truth)), truth].clamp_min(1e-12).log().mean().item(), 4
    )
