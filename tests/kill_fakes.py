"""What the tests of kills run in processes of their own: each kills itself with SIGKILL at a named
point of a write or a loop, so that no test depends on how fast a machine is.
"""

import os
import signal
import sys
from collections import Counter

import numpy as np
import torch
from training_fakes import long_run

from mgff_tutorial.support import files


class Killer:
    """Counts the points that a process reaches, and kills it at the ``number``-th time of one."""

    def __init__(self, point=None, number=0):
        self.point, self.number, self.counts = point, number, Counter()

    def __call__(self, point):
        self.counts[point] += 1
        if point == self.point and self.counts[point] == self.number:
            os.kill(os.getpid(), signal.SIGKILL)


def killed(kind, folder, tally=None, point=None, number=0):
    """Run one of `KINDS` in a folder; it dies at the point, or writes how often each was reached
    into the file ``tally``.
    """
    torch.set_num_threads(1)
    files.reached = Killer(point, number)
    sys.stdout = sys.stderr = open(os.devnull, "w")
    code = KINDS[kind](folder)
    if tally:
        tally.write_text(
            "".join(f"{name} {count}\n" for name, count in files.reached.counts.items())
        )
    sys.exit(code)


def command(*arguments):
    from mgff_tutorial.__main__ import main

    return main([str(argument) for argument in arguments])


def train(folder):
    long_run(folder / "run")
    return 0


def predict(folder):
    model = ["--checkpoint", folder / "model.safetensors", "--device", "cpu", "--one-stage"]
    out = ["--out", folder / "out.jsonl", "--resume", "--batch-size", "1", "--quiet"]
    return command("predict", folder / "birds", *model, *out)


def publish(folder):
    out = ["--publish", folder / "public.safetensors", "--csv", folder / "rows.csv"]
    return command("evaluate", folder / "model.safetensors", "--device", "cpu", "--quiet", *out)


def ablate(folder):
    """The command and its results file, with an experiment that draws its numbers."""
    from mgff_tutorial.experiments import ablation, studies

    def fusion(study, results, seeds, configurations):
        for configuration, seed in results.missing(configurations, seeds):
            draw = np.random.default_rng([seed, len(configuration)])
            found, truth = draw.integers(0, 2, 50).astype(np.uint8), np.arange(50) % 2
            arrays = {f"{configuration}/{seed}/test": found, "labels/test": truth}
            run = dict(configuration=configuration, seed=seed, split="test", n=50)
            results.add_values({"accuracy": float((found == truth).mean())}, arrays, **run)

    ablation.fusion, studies.Study = fusion, lambda settings: None
    names = ["--configurations", "baseline", "mgff"]
    out = ["--out", folder / "results", "--seeds", "3"]
    return command("ablate", "--experiment", "fusion-sketchbirds", *names, *out)


def render(folder):
    """The data set of two species, two pictures of each; it replaces an older one."""
    from mgff_tutorial.renderer import dataset

    dataset.SPECIES, dataset.IMAGES_PER_SPLIT = dataset.SPECIES[:2], 1
    return command("render", "--out", folder / "birds", "--training-images", "1")


KINDS = {
    "train": train,
    "predict": predict,
    "evaluate --publish": publish,
    "ablate": ablate,
    "render": render,
}
