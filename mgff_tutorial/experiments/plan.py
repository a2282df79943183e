"""What an experiment would still run, and how long it takes on one thread: counted before anything
is computed.

Times are those of stored rows, or of a short timing where there are none. Two assumptions make a
plan of them: a training step takes three times as long as a prediction, and a training lasts as
long as the longest that is tried. So a plan errs to the long side.
"""

from dataclasses import dataclass
from functools import partial

import numpy as np

from ..training.config import load_config
from .ablation import LENGTHS, LOOKS, SOURCES, TRIALS
from .controlled import NEW_SCENES, SCENES, SMALL_SIZES, SWEEPS
from .finetuning import TRIALS as RATES
from .grid import grid
from .padding import FOLDS, PADDINGS
from .padding import SPLIT as FOLDED
from .probes import VIEWS
from .registry import EXPERIMENTS, names_of, results_name
from .results import Results
from .studies import Study, training_kinds

STEP = 3  # times a prediction


@dataclass(frozen=True)
class Kind:
    """What one kind of experiment does, by the function that runs it.

    ``last`` is what a finished run ends with: rows of these configurations, in this split.
    ``trainings`` on all images make one run; ``epochs`` of all trials make a choice of recipe, for
    the baseline and for others. Views go through the frozen backbone: of the training images those
    that heads are trained on (``heads``, with ``crops`` or without) and ``more``, of the test
    images ``test_views``, and ``pictures`` of each class.
    """

    last: tuple
    split: str = "test"
    trainings: float = 1.0
    epochs: tuple = (0.0, 0.0)
    heads: bool = True
    crops: bool = False
    more: tuple = ()
    test_views: tuple = ("whole",)
    pictures: int = 0


def _epochs(share, lengths=LENGTHS):
    """Epochs of `ablation.tune`, over this share of the images: baseline, and others."""
    plain = sum(t.epochs for t in TRIALS["baseline"] if t.epochs in lengths)
    others = sum(t.epochs for t in TRIALS["others"]) + sum(lengths[1:])
    return share * plain, share * others


def _drawn(sweeps, scenes, look):
    """`controlled.controlled`: both looks are counted where the last row is of both."""
    last, settings = [*sweeps][-1], sum(map(len, sweeps.values()))
    looks = 2 if look == "merged" else 1
    return Kind(
        (f"{{}}/{look}",),
        f"{last}={sweeps[last][-1]:g}",
        epochs=_epochs(0.7),
        crops=True,
        test_views=(),
        pictures=looks * settings * scenes[1],
    )


WALK = 2 * (4 * LENGTHS[0] + LENGTHS[1])  # three folds of four rates, and one longer training
KINDS = {
    "ablation:fusion": Kind(("{}",), epochs=_epochs(0.7)),
    "ablation:two_stage": Kind(
        tuple(f"{{}}/{training}/{LOOKS[-1]}" for training in ("whole", "crops")),
        epochs=_epochs(0.7),
        crops=True,
        test_views=("whole", *SOURCES),
    ),
    "ablation:screen": Kind((), epochs=_epochs(0.7, LENGTHS[:1])),
    "probes:probes": Kind(("{}",), heads=False, more=VIEWS),
    "replication:looks": Kind(
        (f"{{}}/{LOOKS[-1]}",), epochs=(WALK, WALK), test_views=("whole", *SOURCES)
    ),
    "finetuning:finetuned": Kind((f"{{}}/{LOOKS[-1]}",), heads=False, test_views=()),
    "padding:padding": Kind(
        (f"{{}}/padding={PADDINGS[-1]:g}/merged",),
        FOLDED,
        trainings=FOLDS - 1,
        epochs=_epochs(0.7),
        more=tuple(f"padding {p:g}" for p in PADDINGS),
        test_views=(),
    ),
    "controlled:controlled": _drawn(SWEEPS, SCENES, "merged"),
    "controlled:small_birds": _drawn(SMALL_SIZES, NEW_SCENES, "stage1"),
}


@dataclass(frozen=True)
class Work:
    """One line of a plan: ``count`` pieces of ``seconds`` each; ``timed`` says whence."""

    what: str
    count: int
    seconds: float
    timed: str


def plan(name, settings, seeds, folder, configurations=None):
    """What `registry.run` would still do with the same arguments: list of `Work`."""
    experiment = EXPERIMENTS[name]
    kind, names = KINDS[experiment.run], names_of(name, configurations)[0]
    study, results = Study(settings), Results(folder, results_name(name, settings))
    chosen = Results(folder, results_name(experiment.tuning or name, settings)).rows
    rows, whole = results.rows + chosen, experiment.run.startswith("finetuning")
    images, work, timed = len(study.train), [], partial(_seconds, study, rows)
    seen = {(r.configuration, r.seed) for r in results.rows if r.split == kind.split}
    backbone, by_what = timed("baseline")
    for one in names:
        runs = [
            last.format(one)
            for last in kind.last
            for s in range(seeds)
            if (last.format(one), s) not in seen
        ]
        choices = kind.epochs[one != "baseline"]
        tried = any(r.configuration == one and " at " in r.metric for r in rows)
        all_of_it, how = timed(one)
        if whole:
            epochs, head = load_config("light").epochs, all_of_it
            choices = 0.8 * epochs * len(RATES)
        else:
            epochs, head = LENGTHS[-1], max(all_of_it - backbone, 0.01 * backbone)
        epoch = STEP * head * images
        if choices and experiment.chooses and not tried and (runs or not kind.last):
            work.append(Work(f"{one}: choice of a recipe", 1, choices * epoch, how))
        if runs:
            work.append(Work(f"{one}: training", len(runs), kind.trainings * epochs * epoch, how))
    if work and not whole:
        kinds = training_kinds(settings.random_views, kind.crops) if kind.heads else []
        views = _missing(study, "train", [*kinds, *kind.more])
        views += _missing(study, "test", kind.test_views)
        views += kind.pictures * len(study.train.classes)
        work = [Work("views through the frozen backbone", views, backbone, by_what), *work]
    return work


def _missing(study, split, kinds):
    """How many views of a split are not in the cache; boxes are not computed to find out."""
    dataset = getattr(study, split)
    plain = [kind for kind in kinds if not kind.startswith(("cropper", "padding"))]
    stored = [k for k in plain if study.features.holds(dataset, study.views(split, k))]
    return (len(kinds) - len(stored)) * len(dataset)


def _seconds(study, rows, configuration):
    """Seconds of a prediction, backbone included, and where they come from."""
    found = [
        row.seconds
        for row in rows
        if row.seconds and row.configuration.split("/")[0] == configuration
    ]
    if found:
        return float(np.median(found)), "stored rows"
    return study.cost(configuration)["seconds"], "a short timing"


def plan_table(work):
    """A plan as Markdown, with its sum in CPU hours."""
    lines = [(one.what, one) for one in work]
    titles = "how many | seconds each | CPU minutes | by"
    cells = lambda w: f"{w.count} | {w.seconds:.3g} | {w.count * w.seconds / 60:.1f} | {w.timed}"
    total = sum(one.count * one.seconds for one in work) / 3600
    table = grid("what would run", lines, [(titles, cells)]) + "\n\n" if work else ""
    return f"{table}{total:.2f} CPU hours on one thread"
