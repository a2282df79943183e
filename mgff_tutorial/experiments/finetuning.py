"""Whole models trained end to end on photographs: the plain baseline, MGFF, and MGFF to the letter,
alike in all else.

One recipe (``configs/light.yaml``) for all. The learning rates are chosen for each configuration by
the same number of trials on a validation split of the training images; then it is trained on all of
them once a seed, and the test images
are looked at once: whole, cut out, and both merged.
"""

from pathlib import Path

import torch
from tqdm.auto import tqdm

from ..training.config import load_config
from ..training.trainer import Trainer
from .ablation import add_looks, has_looks, tuned_as, validation_scores
from .frozen_features import View, boxes_as_views, cut
from .studies import HEADS, measure_costs, median_cost

USUAL = (
    "baseline",
    "mgff",
    "mgff-literal",
)  # run unless others are asked for; one run takes minutes
CONFIGURATIONS = {
    name: {"preset": preset, **options}
    for name, (preset, options) in HEADS.items()  # of `MGFFClassifier`
    if name != "mlp-control"
}
CONFIGURATIONS["mgff-literal"] = {
    "preset": "literal"
}  # with the last stage's own map, as the text has it
# (lr, new_layer_lr): of the pretrained layers, and how many times as fast the new ones learn
TRIALS = [
    (1e-3, 3.0),
    (1e-3, 10.0),
    (3e-4, 10.0),
]
VALIDATION = 0.2  # of the training images, for the trials
RUNS = Path("runs/ablate")


def finetuned(study, results, seeds, configurations, command, say=print):
    """Experiment ``finetuned-cub20``.

    Rows are those of `ablation.two_stage`, named ``<configuration>/<look>``. A run that was stopped
    goes on from its folder in ``runs/ablate``.
    """
    for seed in seeds:
        for configuration in configurations:
            if has_looks(results, configuration, seed):
                continue
            trial = choose(study, results, configuration, command, say)
            trainer = _trained(study, results, configuration, trial, seed, validation=0.0)
            add_looks(
                study,
                results,
                configuration,
                seed,
                lambda kind: _probabilities(study, trainer, kind),
                _cost(study, trainer),
                command,
                say,
            )


def choose(study, results, configuration, command, say=print):
    """The trial with the best validation accuracy (seed 0; the lower loss among equals); stored
    trials are not repeated.

    Returns:
        One of `TRIALS`.
    """
    configuration = tuned_as(configuration)
    scores = {}
    for trial in TRIALS:
        names = [
            f"{metric} at lr={trial[0]:g},new_layer_lr={trial[1]:g}"
            for metric in ("accuracy", "log-loss")
        ]
        known = validation_scores(results, configuration)
        if names[0] not in known:
            trainer = _trained(study, results, configuration, trial, 0, VALIDATION)
            record, cost = trainer.folder.read_log()[-1], _cost(study, trainer)
            known = dict(zip(names, (record["val_accuracy"], record["val_loss"])))
            results.add(
                [
                    dict(
                        configuration=configuration,
                        seed=0,
                        split="validation",
                        metric=name,
                        value=known[name],
                        n=len(trainer.data.val_set),
                        command=command,
                        **cost,
                    )
                    for name in names
                ]
            )
            say(
                f"tuning {configuration}: lr {trial[0]:g}, new layers {trial[1]:g} times: "
                f"{100 * known[names[0]]:.1f} % "
                f"of {len(trainer.data.val_set)} validation images"
            )
        scores[trial] = known[names[0]], -known[names[1]]
    return max(scores, key=scores.get)


def _trained(study, results, configuration, trial, seed, validation):
    """A finished `Trainer`; its run is started, continued or, if finished before, only opened."""
    settings, (lr, new_layer_lr) = study.settings, trial
    kwargs = dict(CONFIGURATIONS[configuration])
    if configuration != "baseline" and settings.dim:
        kwargs["dim"] = settings.dim
    name = f"{configuration}-lr{lr:g}x{new_layer_lr:g}-seed{seed}" + (
        "-validation" if validation else ""
    )
    config = load_config(
        "light",
        model=f"mgff_{settings.backbone}",
        model_kwargs=kwargs,
        pretrained=settings.weights or True,
        img_size=settings.img_size,
        resize=settings.img_size,
        lr=lr,
        new_layer_lr=new_layer_lr,
        seed=seed,
        validation=validation,
        device=settings.device,
        out=str(RUNS / results.experiment / name),
    )
    # Trials never see the test images: a training image stands in for them.
    trainer = Trainer(
        config, study.train, study.train.subset([0]) if validation else study.test, resume=True
    )
    trainer.run()
    return trainer


@torch.inference_mode()
def _probabilities(study, trainer, kind, batch_size=32):
    """(N, K) class probabilities of the test images: ``"whole"``, or the crops of one source."""
    views = (
        [View()] * len(study.test) if kind == "whole" else boxes_as_views(study.boxes("test", kind))
    )
    model, stats, device = trainer.bare.eval(), trainer.data.stats, trainer.device
    mean, std = (torch.tensor(stats[key]).view(1, 3, 1, 1) for key in ("mean", "std"))
    out = []
    for start in tqdm(range(0, len(views), batch_size), desc=kind, unit="batch", leave=False):
        images = [
            cut(study.test.image(i), views[i], trainer.config.img_size)
            for i in range(start, min(start + batch_size, len(views)))
        ]
        out.append(model(((torch.stack(images) - mean) / std).to(device)).float().softmax(1).cpu())
    return torch.cat(out)


def _cost(study, trainer):
    """Parameters (all are trained), FLOPs and seconds an image."""
    cost = measure_costs({"model": trainer.bare.eval()}, study.backbone.img_size, trainer.device)[
        "model"
    ]
    return {**median_cost(cost), "params": sum(p.numel() for p in trainer.bare.parameters())}
