"""The experiments by name: what each measures, on what it is run unless told otherwise, and the
command that is stored with its rows.

Named functions are imported when an experiment runs, so that a list of names costs nothing.
"""

import logging
from dataclasses import dataclass, field, replace
from pathlib import Path
from pkgutil import resolve_name

from ..support.errors import InputError, check_number, unknown_name

logger = logging.getLogger(__name__)

PHOTOGRAPHS = {  # where `StudySettings` has the drawn birds'
    "backbone": "tf_efficientnet_lite0",
    "img_size": 160,
    "dim": 160,
    "vit": "vit_small_patch14_dinov2",
    "vit_size": 224,
}
BETTER = {  # a backbone that a linear head reads better
    **PHOTOGRAPHS,
    "backbone": "tf_efficientnet_lite2",
    "img_size": 260,
    "dim": 96,
    "random_views": 1,
}


@dataclass(frozen=True)
class Experiment:
    """One experiment.

    ``run`` is a function of this package as ``module:name``, called with a `Study`, `Results`,
    seeds and configurations; ``usual`` are the configurations that it runs, ``known`` those that it
    can; ``settings`` differ from those of drawn birds; ``tuning`` is the experiment whose trials
    are taken over, and where it does not choose, no other trial is made; ``parts`` are run in its
    place.
    """

    text: str
    run: str = "ablation:fusion"
    usual: str = "studies:CONFIGURATIONS"
    known: str = "studies:HEADS"
    settings: dict = field(default_factory=dict)
    tuning: str | None = None
    chooses: bool = True
    parts: tuple = ()


EXPERIMENTS = {
    "fusion-cub20": Experiment(
        "real photographs, frozen backbone: the baseline, + MGFF, + MGFF without each part",
        settings=PHOTOGRAPHS,
    ),
    "two-stage-cub20": Experiment(
        "real photographs: whole image, crop and both; crops by the ViT, annotated, central",
        "ablation:two_stage",
        "ablation:TWO_STAGE",
        settings=PHOTOGRAPHS,
        tuning="fusion-cub20",
    ),
    "fusion-cub15": Experiment(
        "the first experiment on other classes, with what that one has chosen",
        settings=PHOTOGRAPHS,
        tuning="fusion-cub20",
        chooses=False,
    ),
    "looks-cub20": Experiment(
        "real photographs, a better backbone: one look, crop and both, rates by cross-validation",
        "replication:looks",
        "replication:USUAL",
        settings=BETTER,
    ),
    "looks-cub15": Experiment(
        "the same on other classes, with what the experiment before this one has chosen",
        "replication:looks",
        "replication:USUAL",
        settings=BETTER,
        tuning="looks-cub20",
        chooses=False,
    ),
    "probes-cub20": Experiment(
        "real photographs: a linear layer on each granularity alone, pooled",
        "probes:probes",
        "probes:PROBES",
        "probes:PROBES",
        settings=BETTER,
    ),
    "probes-cub15": Experiment(
        "the same on other classes, with the rates of the experiment before this one",
        "probes:probes",
        "probes:PROBES",
        "probes:PROBES",
        settings=BETTER,
        tuning="probes-cub20",
        chooses=False,
    ),
    "granularities-cub20": Experiment(
        "real photographs: granularities with classifiers of their own, on validation images alone",
        "ablation:screen",
        "studies:SUPERVISED",
        settings=PHOTOGRAPHS,
        tuning="fusion-cub20",
    ),
    "finetuned-cub20": Experiment(
        "real photographs, whole models trained end to end: the baseline, + MGFF, in one stage and "
        "two",
        "finetuning:finetuned",
        "finetuning:USUAL",
        "finetuning:CONFIGURATIONS",
        settings={**PHOTOGRAPHS, "img_size": 224},
    ),
    "fusion-sketchbirds": Experiment("drawn birds: the baseline, + MGFF, + MGFF without each part"),
    "two-stage-sketchbirds": Experiment(
        "drawn birds: whole image, crop and both",
        "ablation:two_stage",
        "ablation:TWO_STAGE",
        tuning="fusion-sketchbirds",
    ),
    "sketchbirds": Experiment(
        "the two before this one", parts=("fusion-sketchbirds", "two-stage-sketchbirds")
    ),
    "cost-cub20": Experiment(
        "real photographs: parameters, FLOPs and time of each head, measured in turn",
        "costs:costs",
        settings=PHOTOGRAPHS,
    ),
    "cost-sketchbirds": Experiment("drawn birds: the same", "costs:costs"),
    "padding-cub20": Experiment(
        "real photographs: the margin around the ViT's box, on training images alone",
        "padding:padding",
        "padding:USUAL",
        settings=PHOTOGRAPHS,
        tuning="fusion-cub20",
    ),
    "padding-sketchbirds": Experiment(
        "drawn birds: the same", "padding:padding", "padding:USUAL", tuning="fusion-sketchbirds"
    ),
    "controlled": Experiment(
        "drawn birds: accuracy against object size, camouflage and part size",
        "controlled:controlled",
        "controlled:USUAL",
        tuning="fusion-sketchbirds",
    ),
    "small-birds": Experiment(
        "drawn birds of a fifth and three tenths of the picture, in new scenes",
        "controlled:small_birds",
        "controlled:USUAL",
        tuning="fusion-sketchbirds",
    ),
    "localisation": Experiment(
        "boxes of every rule against annotated boxes; photographs with --data and --root, else "
        "drawn birds"
    ),
}


def parts_of(name):
    """The experiments behind a name: itself, unless it stands for several."""
    return EXPERIMENTS[name].parts or (name,)


def settings_of(name, given):
    """`StudySettings` of an experiment.

    Args:
        given: dict of settings that differ from the usual ones; ``root`` is the folder of the
            photographs. None stands for the usual.

    Raises:
        InputError: a setting that this experiment does not have, or lacks.
    """
    from .studies import StudySettings

    given, usual = (
        {key: value for key, value in given.items() if value is not None},
        EXPERIMENTS[name].settings,
    )
    if usual and "root" not in given:
        raise InputError("--root is missing: the folder with CUB-200-2011 (see data/README.md).")
    if not usual and "root" in given:
        raise InputError(f"--root is for photographs; {name} draws its own birds.")
    if "training_images" in given:
        if usual:
            raise InputError(
                f"--training-images is for drawn birds; {name} takes the photographs that are "
                "there."
            )
        check_number("--training-images", given["training_images"], 10, 1000, whole=True)
    data = given.pop("root", "sketchbirds")
    return StudySettings(**{**usual, **given, "data": data})


def run(name, settings, seeds, folder, configurations=None):
    """Run an experiment and return its `Results`; what they hold already is not run again.

    Args:
        settings: `StudySettings`. seeds: number of runs of each configuration. folder: of the
            results files. configurations: names, instead of the usual ones.

    Raises:
        InputError: an unknown configuration. DataError: a results file of another version.
    """
    from .results import Results
    from .studies import Study

    experiment = EXPERIMENTS[name]
    function = resolve_name(f"{__package__}.{experiment.run}")
    names, usual = names_of(name, configurations)
    command = command_of(name, settings, seeds, [one for one in names if one not in usual])
    results = Results(folder, results_name(name, settings), command, experiment.chooses)
    before = len(results.rows)
    tested = {row.key[:2] for row in results.rows if row.split == "test" and row.seed < seeds}
    done = [run for run in tested if run[0].split("/")[0] in names]
    if done:
        heads = sorted({name.split("/")[0] for name, _ in done})
        logger.info(
            f"{results.path}: skipping {len(done)} finished runs of "
            f"{len({name for name, _ in done})} configurations ({', '.join(heads)})."
        )
    if experiment.tuning:  # so that nothing is tuned twice
        stored = Results(folder, results_name(experiment.tuning, settings)).rows
        held = {row.key for row in results.rows}
        trials = [row for row in stored if " at " in row.metric and row.key not in held]
        if trials:
            results.add([replace(row, experiment=results.experiment) for row in trials])
    function(Study(settings), results, range(seeds), names)
    logger.info(f"{len(results.rows) - before} new rows in {results.path}")
    return results


def names_of(name, configurations=None):
    """(configurations that an experiment would run, its usual ones).

    Raises:
        InputError: an unknown configuration.
    """
    usual, known = (
        resolve_name(f"{__package__}.{place}")
        for place in (EXPERIMENTS[name].usual, EXPERIMENTS[name].known)
    )
    for one in configurations or ():
        if one not in known:
            raise unknown_name("configuration", one, known)
    return list(configurations or usual), usual


def results_name(name, settings):
    """The name of the results files: one for each backbone, or number of drawn training pictures,
    that was chosen.
    """
    if EXPERIMENTS[name].settings:
        return f"{name}-{settings.backbone}"
    return f"{name}-{settings.training_images}" if settings.has_other_size else name


def command_of(name, settings, seeds, configurations=()):
    """The command as a reader would type it, without the folders of this machine."""
    photographs = (
        f"--root CUB_200_2011 --backbone {settings.backbone} --img-size {settings.img_size} "
        f"--dim {settings.dim}"
    )
    options = {
        photographs: EXPERIMENTS[name].settings,
        f"--training-images {settings.training_images}": settings.has_other_size,
        "--precision bf16": settings.precision == "bf16",
        "--head-precision bf16": settings.head_precision == "bf16",
        f"--configurations {' '.join(configurations)}": configurations,
    }
    words = [f"python -m mgff_tutorial ablate --experiment {name} --seeds {seeds}"]
    return " ".join(words + [option for option, wanted in options.items() if wanted])


def run_localisation(given, folder, device="auto"):
    """Run the experiment ``localisation`` and return its `Results`.

    Args:
        given: dict of ``data``, ``root``, ``split``, ``rules``, ``input_size``, ``limit``, ``vit``
            and ``vit_weights``; None stands for the usual.

    Raises:
        InputError: as `localisation.localise`; sizes or a limit that are no numbers of 1 or more.
    """
    from ..datasets import open_dataset
    from ..response import RULES
    from ..support.device import pick_device
    from .localisation import localise
    from .results import Results
    from .studies import open_vit

    for size in given["input_size"] or ():
        check_number("--input-size", size, 1, whole=True)
    if given["limit"] is not None:
        check_number("--limit", given["limit"], 1, whole=True)
    data = given["data"] or "sketchbirds"
    dataset = open_dataset(data, given["root"], given["split"] or "test")
    if data == "sketchbirds":
        usual, size, label = "vit_nano", 192, data
    else:
        usual, size, label = (
            PHOTOGRAPHS["vit"],
            PHOTOGRAPHS["vit_size"],
            f"{data}{len(dataset.classes)}",
        )
    vit, device = given["vit"] or usual, pick_device(device)
    name = f"localisation_{label}" + ("" if vit == usual else f"-{Path(vit).stem}")
    results = Results(folder, name, _localisation_command(given))
    localise(
        dataset,
        lambda size: open_vit(vit, size, given["vit_weights"]).to(device),
        results,
        list(dict.fromkeys(given["rules"] or RULES)),
        list(dict.fromkeys(given["input_size"] or [size])),
        given["limit"],
        progress=True,
    )
    return results


def _localisation_command(given):
    """As `command_of`: what a reader would type."""
    words = ["python -m mgff_tutorial ablate --experiment localisation"]
    root = {"cub": "CUB_200_2011"}.get(given["data"], given["data"])
    words += [f"--data {given['data']} --root {root}"] if given["root"] else []
    words += [f"--vit {Path(given['vit']).name}"] if given["vit"] else []
    for name in ("input_size", "rules", "split", "limit"):
        values = given[name] if isinstance(given[name], list) else [given[name]]
        words += [f"--{name.replace('_', '-')}", *map(str, values)] if given[name] else []
    return " ".join(words)
