"""``python -m mgff_tutorial train``: a recipe, some changes to it, a run folder."""

from dataclasses import fields, replace

from ..support.errors import InputError, check_number, shortened, unknown_name
from ..support.files import as_path, parse_yaml
from ..training.config import TrainConfig, config_names, load_config
from . import add_command

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
    "--resume": dict(action="store_true", help="continue the run in --out"),
    "--threads": dict(type=int, help="CPU threads for computing"),
    "--quiet": dict(action="store_true", help="no progress bars"),
}
CONFIG = dict(
    default="nano", help="recipe (default: nano); pretrain draws birds and pretrains on them"
)


def add_train_command(subparsers):
    """Add ``train`` to the command line."""
    flags = {flag: dict(type=kind, help=text) for flag, (kind, text) in FLAGS.items()}
    return add_command(
        subparsers,
        "train",
        run_train,
        {"--config": CONFIG, **flags, **OTHER_FLAGS},
        help="train a model by a recipe",
        description=f"Train by a recipe: {', '.join(config_names())}, pretrain, or a YAML file. "
        "The run folder holds configuration, log, curves, checkpoints and the test results. With "
        "accelerate launch or torchrun in front it runs on several GPUs or machines.",
    )


def run_train(args):
    """Train as the arguments say; returns 0."""
    import torch

    if args.threads is not None:
        check_number("--threads", args.threads, 1, 1024, whole=True)
        torch.set_num_threads(args.threads)
    entries = [flag[2:].replace("-", "_") for flag in FLAGS]
    changes = {key: vars(args)[key] for key in entries if vars(args)[key] is not None}
    changes |= parse_settings(args.set)
    if args.config == "pretrain":
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
    config = load_config(args.config, **changes)
    config = replace(config, model_kwargs={**config.model_kwargs, **kwargs})
    from ..training.trainer import train

    result = train(config, resume=args.resume, progress=not args.quiet)
    print(summary(config, result))
    return 0


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
        f"{config.model} on {config.data}, {result['epochs']} epochs, {result['seconds']:.0f} s"
    ]
    for name, text in (("last", "last epoch"), ("best", "best validation")):
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
