"""What a run is about to do, said before it starts: model, images, and about how long it takes."""

import time

import torch

from ..support.errors import counted


def announcement(run):
    """One line about a `Trainer` that is ready to train; its time is that of one update here."""
    data, plan, config = run.data, run.plan, run.config
    weights = sum(parameter.numel() for parameter in run.bare.parameters()) / 1e6
    counts = f"{plan.size:,} training, {len(data.val_set or ()):,} validation and "
    side = config.img_size
    done = run.step // plan.steps_per_epoch
    if run.device.type == "cpu":
        where = counted(torch.get_num_threads(), "CPU thread")
    else:
        where = run.device.type
    text = (
        f"{config.model}, {weights:.1f} million parameters; {counts}{len(data.test_set):,} test "
        f"images of {len(data.classes):,} classes, {side} x {side} pixels; "
        f"{counted(config.epochs - done, 'epoch')} of {counted(plan.steps_per_epoch, 'update')} "
        f"on {where}"
    )
    if run.team.processes > 1 or run.step == plan.total_steps:
        return text
    passes = (plan.total_steps - run.step) * plan.passes
    return f"{text}; about {duration(passes * seconds_of_a_pass(run))}, as one update takes here"


def seconds_of_a_pass(run):
    """Of forward and backward, without decoding; nothing of the model changes."""
    model, side = run.bare.eval(), run.config.img_size
    images = torch.zeros(run.plan.micro_batch, 3, side, side, device=run.device)
    took = 0.0
    for _ in range(2):  # the first one also sets up
        start = time.monotonic()
        with run.accelerator.autocast():
            loss = model(images).float().logsumexp(1).sum()
        loss.backward()
        loss.item()  # waits for a GPU
        took = time.monotonic() - start
    model.zero_grad(set_to_none=True)
    return took


def duration(seconds):
    """``"40 s"``, ``"12 min"`` or ``"3.5 h"``."""
    if seconds < 100:
        return f"{max(1, round(seconds))} s"
    return f"{seconds / 60:.0f} min" if seconds < 6000 else f"{seconds / 3600:.1f} h"
