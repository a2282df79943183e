"""Whole models trained end to end on photographs: the plain baseline, MGFF, and MGFF to the letter,
alike in all else.

One recipe (``configs/light.yaml``) for all. The learning rates are chosen for each configuration by
the same number of trials on a validation split of the training images; then it is trained on all of
them once a seed, and the test images are looked at once: whole, cut out, and both merged.
"""

from pathlib import Path
from typing import NamedTuple

import torch
from torch.utils.data import BatchSampler
from torchvision.transforms.functional import normalize
from tqdm.auto import tqdm

from ..training.config import load_config
from ..training.trainer import Trainer
from .ablation import SOURCES, add_looks, best_of, has_looks, tuned_as
from .frozen_features import cut
from .studies import GRAPH_NORM, HEADS, SUPERVISED, measure_costs, median_cost


class Trial(NamedTuple):
    """``lr`` of the pretrained layers, and how many times as fast the new ones learn."""

    lr: float
    new_layer_lr: float

    def __str__(self):
        return f"lr={self.lr:g},new_layer_lr={self.new_layer_lr:g}"


USUAL = ("baseline", "mgff", "mgff-literal")  # run unless others are asked for: minutes each
CONFIGURATIONS = {
    name: {"preset": preset, **options}
    for name, (preset, options) in HEADS.items()  # of `MGFFClassifier`
    if name != "mlp-control" and name not in SUPERVISED
}
# with the last stage's own map, as the text has it
CONFIGURATIONS["mgff-literal"] = {"preset": "literal", **GRAPH_NORM}
TRIALS = [Trial(1e-3, 3.0), Trial(1e-3, 10.0), Trial(3e-4, 10.0)]
VALIDATION = 0.2  # of the training images, for the trials
RUNS = Path("runs/ablate")


def finetuned(study, results, seeds, configurations):
    """Experiment ``finetuned-cub20``.

    Rows are those of `ablation.two_stage`, named ``<configuration>/<look>``. A run that was stopped
    goes on from its folder in ``runs/ablate``.
    """
    for configuration, seed in [(c, s) for s in seeds for c in configurations]:
        if has_looks(results, configuration, seed):
            continue
        trial = choose(study, results, configuration)
        trainer = _trained(study, results, configuration, trial, seed, validation=0.0)
        found = {kind: _probabilities(study, trainer, kind) for kind in ("whole", *SOURCES)}
        add_looks(study, results, configuration, seed, found, _cost(study, trainer))


def choose(study, results, configuration):
    """The best of `TRIALS` on validation images (seed 0); stored trials are not repeated."""
    configuration = tuned_as(configuration)

    def run(trial):
        trainer = _trained(study, results, configuration, trial, 0, VALIDATION)
        record = trainer.records[-1]
        values = {"accuracy": record["val_accuracy"], "log-loss": record["val_loss"]}
        return values, len(trainer.data.val_set), _cost(study, trainer)

    return best_of(results, configuration, TRIALS, run)


def _trained(study, results, configuration, trial, seed, validation):
    """A finished `Trainer`; its run is started, continued or, if finished before, only opened."""
    settings, (lr, new_layer_lr) = study.settings, trial
    width = {"dim": settings.dim} if configuration != "baseline" and settings.dim else {}
    name = f"{configuration}-lr{lr:g}x{new_layer_lr:g}-seed{seed}"
    name += "-validation" if validation else ""
    config = load_config(
        "light",
        model=f"mgff_{settings.backbone}",
        model_kwargs={**CONFIGURATIONS[configuration], **width},
        pretrained=settings.weights or True,
        img_size=settings.img_size,
        resize=settings.img_size,
        lr=lr,
        new_layer_lr=new_layer_lr,
        seed=seed,
        validation=validation,
        close_views=0.0,  # as the stored rows were measured
        device=settings.device,
        out=str(RUNS / results.experiment / name),
    )
    # Trials never see the test images: a training image stands in for them.
    test = study.train.subset([0]) if validation else study.test
    trainer = Trainer(config, study.train, test, resume=True)
    trainer.run()
    return trainer


@torch.inference_mode()
def _probabilities(study, trainer, kind, batch_size=32):
    """(N, K) class probabilities of the test images in one kind of `Study.views`."""
    views = study.views("test", kind)
    model, stats, device = trainer.bare.eval(), trainer.data.stats, trainer.device
    batches = BatchSampler(range(len(views)), batch_size, drop_last=False)
    out = []
    for indices in tqdm(batches, desc=kind, unit="batch", leave=False):
        images = [cut(study.test.image(i), views[i], trainer.config.img_size) for i in indices]
        x = normalize(torch.stack(images), stats["mean"], stats["std"])
        out.append(model(x.to(device)).float().softmax(1).cpu())
    return torch.cat(out)


def _cost(study, trainer):
    """Parameters (all are trained), FLOPs and seconds an image."""
    model = trainer.bare.eval()
    costs = measure_costs({"model": model}, study.backbone.img_size, trainer.device)
    return {**median_cost(costs["model"]), "params": sum(p.numel() for p in model.parameters())}
