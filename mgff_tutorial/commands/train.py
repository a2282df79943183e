"""``python -m mgff_tutorial train``: a recipe, some changes to it, a run folder."""

import shlex
from dataclasses import fields, replace

from ..support.errors import (
    DataError,
    DataSetError,
    InputError,
    counted,
    shortened,
    unknown_name,
)
from ..support.files import as_path, parse_yaml
from ..training.config import TrainConfig, config_names, load_config, recipe_for
from . import check_numbers

FLAGS = {  # command line: entry of the configuration, type, help
    "--model": (str, "model name, such as mgff_swin_nano or mgff_resnet50"),
    "--pretrained": (
        str,
        "true, false, or the path of a checkpoint (for MGFF models: of the backbone)",
    ),
    "--data": (
        str,
        "data set: cub, cars, pets, nabirds, sketchbirds, or a folder of class folders",
    ),
    "--root": (str, "folder of the data set"),
    "--cropper": (str, "ViT that finds the object: a name, or the path of its weights"),
    "--out": (str, "run folder (default: runs/latest)"),
    "--seed": (int, "seed of everything random"),
    "--epochs": (int, "passes over the training images"),
    "--batch-size": (int, "images an update, over all processes"),
    "--micro-batch": (
        int,
        "images a pass and process; smaller than the batch: gradients accumulate",
    ),
    "--lr": (float, "learning rate"),
    "--img-size": (int, "side of the model's input"),
    "--resize": (int, "side that images are resized to before the crop"),
    "--validation": (float, "share of the training images held out for every choice"),
    "--workers": (int, "loader processes"),
    "--device": (str, "auto, cpu, cuda, cuda:N or mps"),
    "--precision": (str, "no, bf16 or fp16"),
    "--save-seconds": (float, "how often the run is saved"),
}


OTHER_FLAGS = {
    "--set": dict(
        action="append",
        default=[],
        metavar="ENTRY=VALUE",
        help="any other entry of the recipe, such as --set jitter=0.3 or --set "
        "model_kwargs.preset=literal",
    ),
    "--resume": dict(
        action="store_true", help="continue the run in --out, with the configuration that it holds"
    ),
    "--fast": dict(
        action="store_true",
        help="on a CPU: measure which library computes each linear layer quicker, and use that",
    ),
    "--threads": dict(type=int, help="CPU threads for computing"),
    "--quiet": dict(action="store_true", help="no progress bars"),
}
CONFIG = dict(
    help="recipe (default: light for photographs, nano for the drawn birds); pretrain draws birds "
    "and pretrains on them"
)


def run_train(args):
    """Train as the arguments say; returns 0."""
    import torch

    check_numbers(args, threads=1024)
    if args.threads is not None:
        torch.set_num_threads(args.threads)
    entries = [flag[2:].replace("-", "_") for flag in FLAGS]
    changes = {key: vars(args)[key] for key in entries if vars(args)[key] is not None}
    changes |= {"fast": True} if args.fast else {}
    changes |= parse_settings(args.set)
    stored = as_path(changes.get("out", TrainConfig.out), "out") / "config.yaml"
    continued = args.resume and args.config is None and stored.is_file()
    recipe = (
        str(stored)
        if continued
        else args.config or recipe_for(changes.get("data"), changes.get("model"))
    )
    if recipe == "pretrain":
        return _pretrain(changes)
    if isinstance(changes.get("pretrained"), str):
        changes["pretrained"] = {"true": True, "false": False}.get(
            changes["pretrained"].lower(), changes["pretrained"]
        )
    kwargs = {
        key.partition(".")[2]: changes.pop(key)
        for key in list(changes)
        if key.startswith("model_kwargs.")
    }
    config = load_config(recipe, **changes)
    config = replace(config, model_kwargs={**config.model_kwargs, **kwargs})
    if continued:
        same_run(load_config(stored), config)
    elif args.resume and not (changes.keys() - {"out"} or kwargs or args.config):
        raise InputError(f"{config.out} holds no run that could be continued (no config.yaml).")
    from ..training.trainer import train

    try:
        result = train(config, resume=args.resume, progress=not args.quiet)
    except DataSetError:
        raise
    except DataError as error:  # from a loader process it comes with a traceback
        text = str(error).strip().splitlines()[-1].rpartition("DataError: ")[2]
        check = f"python -m mgff_tutorial data check {shlex.quote(config.data)}"
        check += f" --root {shlex.quote(config.root)}" if config.root else ""
        raise DataError(f"{text.rstrip('.')}; {check} finds all such problems at once.") from None
    print(summary(config, result))
    return 0


def same_run(stored, config):
    """Refuse, before anything is loaded, to continue a run with other settings than its own."""
    from ..training.runs import FREE

    for key, value in stored.as_dict().items():
        given = getattr(config, key)
        if key not in FREE and given != value:
            raise InputError(
                f"{config.out} holds a run with {key}: {value!r}, not {given!r}; resume it with "
                "its own configuration (leave the option out), or choose another --out."
            )


def parse_settings(settings):
    """``["jitter=0.3", "flip=false"]`` -> ``{"jitter": 0.3, "flip": False}``; values are read as
    YAML.

    Raises:
        InputError: an item without ``=``, or a value that is no YAML.
    """
    changes = {}
    for item in settings:
        key, sign, value = item.partition("=")
        if not sign or not key:
            raise InputError(
                f"--set takes ENTRY=VALUE, got {shortened(item)}; entries: "
                f"{', '.join(f.name for f in fields(TrainConfig))}."
            )
        changes[key] = parse_yaml(value, f"--set {shortened(key)}: {shortened(value)}")
    return changes


def _pretrain(changes):
    """``--config pretrain``: the entries are those of `PretrainConfig`."""
    from ..training.pretraining import PretrainConfig, pretrain

    out = changes.pop("out", "runs/pretrain")
    known = [entry.name for entry in fields(PretrainConfig)]
    for key in changes:
        if key not in known:
            raise unknown_name("entry of the pretrain recipe", key, [*known, "out"])
    figures = pretrain(PretrainConfig(**changes), as_path(out, "out"))
    print("\n".join(f"{name}: {value}" for name, value in figures.items()))
    return 0


def summary(config, result):
    """A few lines on what came out and where it lies."""
    lines = [
        f"{config.model} on {config.data}, {counted(result['epochs'], 'epoch')}, "
        f"{result['seconds']:.0f} s"
    ]
    for name, text in (("best", "best validation"), ("last", "last epoch")):
        if name in result:
            found = result[name]
            lines.append(
                f"test accuracy, {text} (epoch {found['epoch']}): {found['accuracy']:.2%} "
                f"({found['correct']}/{found['count']})"
            )
    if result.get("validation"):
        lines.append(
            f"validation accuracy: last {result['validation']['last']:.2%}, best "
            f"{result['validation']['best']:.2%} "
            f"({result['validation']['images']} images)"
        )
    return "\n".join([*lines, f"run folder: {config.out}"])


PARSER = dict(
    run=run_train,
    flags={
        "--config": CONFIG,
        **{flag: dict(type=kind, help=text) for flag, (kind, text) in FLAGS.items()},
        **OTHER_FLAGS,
    },
    help="train a model by a recipe",
    description=f"Train by a recipe: {', '.join(config_names())}, pretrain, or a YAML file. "
    "The run folder holds configuration, log, curves, checkpoints and the test results. With "
    "accelerate launch or torchrun in front it runs on several GPUs or machines.",
)
