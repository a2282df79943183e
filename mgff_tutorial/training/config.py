"""The recipe of a training run as one flat record, read from a YAML file that people can diff."""

import math
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import Any

import yaml

from ..options import check_model_options
from ..support.errors import InputError, check_name, is_text, shortened, unknown_name
from ..support.files import MAX_DEPTH, as_path, atomic_file, read_yaml

CONFIGS = Path(__file__).resolve().parent / "configs"
# type of an entry: what is taken for it; text may hold a number, as "2e-4" does for YAML
TAKEN = {
    bool: bool,
    int: int,
    float: (int, float, str),
    str: (str, Path),
    list: (list, tuple),
    dict: dict,
}
CHOICES = {
    "crop": ("random", "resized"),
    "schedule": ("cosine", "constant"),
    "precision": ("no", "bf16", "fp16"),
}


def _is_scale(value):
    numbers = all(isinstance(end, (int, float)) and not isinstance(end, bool) for end in value)
    return len(value) == 2 and numbers and 0 < value[0] <= value[1] <= 1


RANGES = (  # entries, whether a value will do, what is accepted
    ("epochs", lambda v: 1 <= v <= 100_000, "from 1 to 100000"),
    ("img_size resize cropper_size", lambda v: 8 <= v <= 4096, "from 8 to 4096"),
    ("batch_size micro_batch", lambda v: 1 <= v <= 1_000_000, "from 1 to 1000000"),
    ("workers", lambda v: v <= 1024, "at most 1024"),  # each is a process
    ("out", lambda v: bool(v.strip()), "the name of a folder"),
    ("seed", lambda v: 0 <= v < 2**31, "from 0 to 2147483647"),
    ("lr new_layer_lr", lambda v: 0 < v < math.inf, "a positive number"),
    (
        "weight_decay warmup_epochs jitter mixup cutmix workers save_seconds",
        lambda v: 0 <= v < math.inf,
        "0 or a positive number",
    ),
    ("close_views", lambda v: 0 <= v <= 1, "from 0 to 1"),
    ("momentum ema label_smoothing validation", lambda v: 0 <= v < 1, "from 0 to below 1"),
    ("clip_grad", lambda v: v > 0, "a positive number, or nothing"),
    ("scale", _is_scale, "two numbers, 0 < low <= high <= 1"),
)


class Settings:
    """What a run is told: a base of dataclasses whose fields are plain values."""

    def __post_init__(self):
        for entry in fields(self):
            setattr(self, entry.name, typed(entry.name, entry.type, getattr(self, entry.name)))

    def as_dict(self):
        """Plain values, in the order of the fields."""
        return asdict(self)

    def save(self, path):
        """Write as YAML, atomically."""
        with atomic_file(path, "w") as stream:
            yaml.safe_dump(self.as_dict(), stream, sort_keys=False, allow_unicode=True)


@dataclass
class TrainConfig(Settings):
    """Everything that decides the result of a run; the run folder keeps a copy."""

    # what is trained, and on what
    model: str = "mgff_swin_nano"
    model_kwargs: dict = field(default_factory=dict)  # further options of create_model
    pretrained: bool | str = True  # True: the model's usual weights; a path: that checkpoint
    data: str = "sketchbirds"  # a name, or the folder of class folders
    root: str | None = None
    out: str = "runs/latest"
    seed: int = 0

    # images
    img_size: int = 96
    resize: int = 96  # both sides, before the crop
    crop: str = (
        "resized"  # "random": a window of img_size; "resized": a random part, resized to img_size
    )
    scale: list = field(
        default_factory=lambda: [0.3, 1.0]
    )  # share of the area that "resized" keeps
    flip: bool = True
    jitter: float = 0.0  # strength of changes to brightness, contrast and saturation
    # share of training views cut around the object that `cropper` finds, as stage 2 sees it
    close_views: float = 0.0
    cropper: str = "vit_nano"  # ViT that finds the object: a name, or the path of its weights
    cropper_size: int | None = None  # side of its input; None: its own
    in_memory: bool = False  # decode all images once and keep them (small data sets)
    workers: int = 2  # loader processes, without in_memory
    cache: str | None = None  # folder for images resized to `resize` once, without in_memory
    validation: float = 0.1  # share of the training images held out for every choice

    # optimisation
    epochs: int = 40
    batch_size: int = 32  # images per update, over all processes and accumulated passes together
    micro_batch: int | None = (
        None  # images per pass and process; smaller than the batch: gradients accumulate
    )
    optimizer: str = (
        "adamw"  # timm's names; "momentum" is plain SGD with momentum, "sgd" the Nesterov kind
    )
    lr: float = 3e-4
    momentum: float = 0.9
    weight_decay: float = 0.05
    new_layer_lr: float = 1.0  # learning rate of new layers (head, MGFF) in units of lr
    schedule: str = "cosine"  # half a cosine from lr to 0, or "constant"
    warmup_epochs: float = 0.0  # linear from 0; at most half of the run
    clip_grad: float | None = None
    label_smoothing: float = 0.0
    mixup: float = 0.0
    cutmix: float = 0.0
    ema: float = 0.0  # decay of the averaged weights that are validated and saved; 0: none

    # machine
    device: str = "auto"
    precision: str = "no"  # "no" (float32), "bf16" or "fp16"
    channels_last: bool = (
        False  # channels side by side in memory: quicker for convolutional networks
    )
    fast: bool = False  # on a CPU: linear layers by the quicker library, measured once for a run
    checkpoint_activations: bool = False
    deterministic: bool = (
        False  # slower kernels that repeat bit for bit on CUDA; the CPU always does
    )
    save_seconds: float = 60.0  # at most this much work is lost in a kill
    tensorboard: bool = False

    def __post_init__(self):
        super().__post_init__()
        _check(self)


def config_names():
    """The recipes that come with the package."""
    return sorted(path.stem for path in CONFIGS.glob("*.yaml"))


def recipe_for(data: str | None = None, model: str | None = None) -> str:
    """The recipe for a laptop: ``"nano"`` for the drawn birds and the models made for them,
    ``"light"`` for photographs.
    """
    drawn = data in (None, "sketchbirds") or str(model).endswith("nano")
    return "nano" if drawn else "light"


def load_config(name: str | Path = "nano", **overrides: Any) -> TrainConfig:
    """A recipe by name, or from a YAML file, with some entries replaced.

    Args:
        name: ``"paper"``, ``"practical"``, ``"nano"``, or the path of a YAML file.
        **overrides: entries of `TrainConfig`; None means "as in the recipe".

    Raises:
        InputError: unknown recipe or entry, or a value of the wrong type or range; the message
            names it.
    """
    path = as_path(name, "name")
    if path.suffix not in (".yaml", ".yml"):
        path = CONFIGS / f"{name}.yaml"
        if str(name) not in config_names():
            raise unknown_name("config", name, [*config_names(), "a file ending in .yaml"])
    if not path.is_file():
        raise InputError(
            f"{path}: no such config file; accepted: {', '.join(config_names())}, or a .yaml file."
        )
    values = read_yaml(path)
    if not isinstance(values, dict):
        got = "nothing" if values is None else type(values).__name__
        raise InputError(f"{path}: expected entries like 'epochs: 40', got {got}.")
    if isinstance(values.get("model_kwargs"), dict):
        check_model_options(values["model_kwargs"], path)
    values.update({key: value for key, value in overrides.items() if value is not None})
    known = [entry.name for entry in fields(TrainConfig)]
    for key in values:
        check_name("config entry", key, known)
    return TrainConfig(**values)


def typed(name, kind, value):
    """``value`` as the field's type says; whole numbers pass as floats, and "2e-4" (text to YAML)
    as a number.
    """
    kinds = kind.__args__ if hasattr(kind, "__args__") else (kind,)
    if value is None and type(None) in kinds:
        return None
    for kind in kinds:
        if isinstance(value, TAKEN.get(kind, ())) and isinstance(value, bool) == (kind is bool):
            try:
                typed = kind(value)
            except (ValueError, OverflowError):
                continue
            _check_plain(name, typed)
            return typed
    accepted = " or ".join("nothing" if kind is type(None) else kind.__name__ for kind in kinds)
    raise InputError(f"{name} must be {accepted}, got {shortened(value)}.")


def _check_plain(name, value, depth=0):
    """Refuse what a YAML file or a file name cannot hold, in values within values too."""
    if isinstance(value, str) and not is_text(value):
        raise InputError(f"{name} must be text without control codes, got {shortened(value)}.")
    if isinstance(value, int) and abs(value) > 2**63:
        raise InputError(f"{name} must be a number of at most 64 bits, got {shortened(value)}.")
    parts = [*value, *value.values()] if isinstance(value, dict) else value
    if isinstance(parts, (list, tuple)) and depth < MAX_DEPTH:
        for part in parts:
            _check_plain(name, part, depth + 1)
    elif not isinstance(value, (str, int, float, type(None))):
        raise InputError(f"{name} must be plain values, got {shortened(value)}.")


def _check(config):
    """Ranges, and entries that must fit each other."""
    for names, fits, accepted in RANGES:
        for name in names.split():
            value = getattr(config, name)
            if value is not None and not fits(value):
                raise InputError(f"{name} must be {accepted}, got {shortened(value)}.")
    for name, choices in CHOICES.items():
        check_name(name, getattr(config, name), choices)
    if config.resize < config.img_size:
        raise InputError(
            f"resize must be at least img_size ({config.img_size}), got {config.resize!r}."
        )
