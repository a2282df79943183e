"""A data set of coloured noise and a small network with dropout: what the tests of training
train.
"""

import multiprocessing
import os
import socket
import sys

import numpy as np
import torch
from PIL import Image
from torch import nn

from mgff_tutorial.training import train
from mgff_tutorial.training import trainer as training
from mgff_tutorial.training.config import TrainConfig


class Colours(torch.utils.data.Dataset):
    """Noise of ``size`` pixels, tinted by class: easy to learn, made from (seed, index)."""

    def __init__(self, count=22, classes=3, size=20, seed=0, transform=None):
        self.labels = [i % classes for i in range(count)]
        self.classes = [f"colour {k}" for k in range(classes)]
        self.transform, self.numbers, self.size, self.seed = (
            transform,
            list(range(count)),
            size,
            seed,
        )

    def __len__(self):
        return len(self.labels)

    def image(self, i):
        draw = np.random.default_rng([self.seed, self.numbers[i]])
        pixels = draw.integers(0, 120, (self.size, self.size, 3))
        pixels[..., self.labels[i] % 3] += 100
        return Image.fromarray(pixels.astype(np.uint8))

    def __getitem__(self, i):
        image = self.image(i)
        return (self.transform(image) if self.transform else image), self.labels[i]

    def subset(self, indices, transform=None):
        other = object.__new__(Colours)
        other.__dict__.update(self.__dict__, transform=transform)
        other.labels = [self.labels[i] for i in indices]
        other.numbers = [self.numbers[i] for i in indices]
        return other


class SmallNet(nn.Module):
    """Convolution, batch norm, dropout, linear: everything whose state a resumed run must carry
    on.
    """

    def __init__(self, num_classes=3, dropout=0.2):
        super().__init__()
        self.num_classes = num_classes
        self.pretrained_cfg = {
            "mean": (0.5, 0.5, 0.5),
            "std": (0.5, 0.5, 0.5),
            "input_size": (3, 16, 16),
        }
        self.stem = nn.Sequential(nn.Conv2d(3, 8, 3, 2, 1), nn.BatchNorm2d(8), nn.ReLU())
        self.drop, self.head = nn.Dropout(dropout), nn.Linear(8, num_classes)

    def get_classifier(self):
        return self.head

    def forward(self, x):
        return self.head(self.drop(self.stem(x).mean((2, 3))))


def small_net(seed=0, **kwargs):
    torch.manual_seed(seed)
    return SmallNet(**kwargs)


def small_config(out, **changes):
    """A run of a few updates on the CPU."""
    values = dict(
        model="small",
        out=str(out),
        img_size=16,
        resize=20,
        epochs=3,
        batch_size=6,
        lr=0.01,
        workers=0,
        in_memory=True,
        jitter=0.2,
        validation=0.2,
        device="cpu",
        seed=1,
    )
    return TrainConfig(**{**values, **changes})


# --- runs in processes of their own, forked from a server that has imported everything already
# -----------------


def long_run(out):
    """Resumable, saved after nearly every update: what the kill tests kill."""
    torch.set_num_threads(1)
    training.save_curves = lambda records, path: None  # slower than the run
    config = small_config(out, epochs=6, save_seconds=0.01)
    train(config, Colours(), Colours(13, seed=5), small_net(), resume=True, progress=False)


def join_others(rank, processes, port):
    """Set what ``accelerate launch`` or ``torchrun`` sets in each process."""
    torch.set_num_threads(1)
    if processes > 1:
        os.environ.update(
            RANK=str(rank),
            LOCAL_RANK=str(rank),
            WORLD_SIZE=str(processes),
            ACCELERATE_USE_CPU="true",
            MASTER_ADDR="127.0.0.1",
            MASTER_PORT=str(port),
        )


def free_port():
    """A port of this machine that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def shared_command(printed, arguments, rank=0, processes=1, port=0):
    """One process of a command over gloo, which prints into the file ``printed``; exits with the
    command's code.
    """
    join_others(rank, processes, port)
    from mgff_tutorial.__main__ import main

    with open(printed, "w", encoding="utf-8") as sys.stdout:
        code = main([str(argument) for argument in arguments])
    sys.stdout = sys.__stdout__
    sys.exit(code)


def shared_run(out, rank=0, processes=1, port=0):
    """One process of a run over gloo; without dropout and batch norm, which see each process's
    share only.
    """
    join_others(rank, processes, port)
    model = small_net(dropout=0.0)
    model.stem[1] = nn.Identity()
    config = small_config(out, epochs=2, optimizer="momentum")
    train(config, Colours(), Colours(13, seed=5), model, progress=False)


def shared_boxes(birds, folder, found, rank, processes, port):
    """One process that finds its share of a folder's boxes over gloo, and writes all of them into
    the file ``found``.
    """
    join_others(rank, processes, port)
    from accelerate import PartialState
    from accelerate.utils import gather_object

    from mgff_tutorial.cropper import ViTCropper
    from mgff_tutorial.datasets import ImageFolderDataset
    from mgff_tutorial.evaluation.boxes import find_boxes
    from mgff_tutorial.models import create_model

    PartialState(cpu=True)
    torch.manual_seed(0)
    cropper = ViTCropper(create_model("vit_nano", img_size=48))
    np.save(
        found,
        find_boxes(
            ImageFolderDataset(birds, split="all"),
            cropper,
            folder=folder,
            batch_size=2,
            rank=rank,
            processes=processes,
            gather=gather_object,
        ),
    )


# what takes seconds to import, and does not depend on what a process will do
PRELOADED = [f"mgff_tutorial.commands.{name}" for name in ("ablate", "evaluate", "predict")]
PRELOADED += ["mgff_tutorial.evaluation.predict", "mgff_tutorial.evaluation.split"]
PRELOADED += ["mgff_tutorial.experiments.tables", "accelerate", "timm.optim", "timm.scheduler"]


def start(function, *args):
    """A started process that runs ``function(*args)``."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["training_fakes", *PRELOADED])
    process = context.Process(target=function, args=args)
    process.start()
    return process
