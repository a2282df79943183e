"""The training loop: resumable at any moment, the same for one process or several, honest about the
test split.
"""

import math
import shlex
import time
from contextlib import closing, nullcontext
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import torch
from timm.utils import ModelEmaV3
from tqdm.auto import tqdm

from .. import __version__
from ..datasets import ImageDataset, open_split
from ..datasets.base import ONE_CLASS
from ..datasets.digest import fingerprint
from ..evaluation.predict import PHOTOGRAPHS
from ..evaluation.split import Team, predict_split
from ..evaluation.trust import trust_entries
from ..support import files
from ..support.checkpoints import CheckpointError, read_checkpoint, read_metadata, save_checkpoint
from ..support.device import seed_everything
from ..support.errors import DataError, InputError
from ..support.fast import find_quicker, use_onednn
from ..support.files import write_json
from ..support.stopping import Stopped, StopRequest, stop_request
from .announce import announcement
from .config import TrainConfig
from .loading import RunData
from .recipe import Loss, Schedule, all_finite, build_model, build_optimizer, make_accelerator
from .runs import RESUME, RunFolder, check_folder, save_curves
from .seeding import mixed_seed


class TrainingStopped(RuntimeError):
    """The loss or a gradient is no longer a finite number; the run folder holds the weights from
    before.
    """


def train(
    config: TrainConfig,
    train_set: ImageDataset | None = None,
    test_set: ImageDataset | None = None,
    model: torch.nn.Module | None = None,
    resume: bool = False,
    progress: bool = True,
) -> dict[str, Any]:
    """Train a model as a `TrainConfig` says, and measure it on the test split once, at the end.

    Args:
        config: the recipe.
        train_set, test_set: `ImageDataset` objects; opened by ``config.data`` and ``config.root``
            if None.
        model: a module to train; built by ``config.model`` if None. Give the name and options that
            built it in the configuration, so that its checkpoints can be opened again.
        resume: continue the run in ``config.out`` (or start it, if it was killed before its first
            checkpoint).
        progress: show progress bars and a line for each epoch.

    Returns:
        dict, also in ``result.json``: ``best`` with a validation split, else ``last`` (test
        ``accuracy``, ``correct``, ``count`` and ``epoch`` of the weights with the best validation
        accuracy, or of the last epoch; the test split is asked about these alone),
        ``validation`` (accuracy of both), ``epochs``, ``steps``, ``seconds``.

    Raises:
        InputError: a setting, the data or the run folder cannot be used.
        TrainingStopped: the loss became NaN or infinite.
    """
    return Trainer(config, train_set, test_set, model, resume, progress).run()


class Trainer:
    """One run, piece by piece: `setup` in the constructor, then `run`. See `train` for the
    arguments.
    """

    def __init__(
        self, config, train_set=None, test_set=None, model=None, resume=False, progress=True
    ):
        self.config = config
        self.accelerator = make_accelerator(config)
        self.device = self.accelerator.device
        self.team = Team(state=self.accelerator.state)
        self.progress = progress and self.team.is_first
        if config.tensorboard and find_spec("tensorboard") is None:  # not after the first epoch
            raise InputError(
                "tensorboard: true needs the package tensorboard; pip install tensorboard."
            )
        self._from_main(lambda: check_folder(config.out, config, resume))
        train_set, test_set = (
            open_split(config.data, config.root, split) if given is None else given
            for split, given in (("train", train_set), ("test", test_set))
        )
        if len(train_set.classes) < 2:
            raise DataError(f"{config.data} {ONE_CLASS}.")
        seed_everything(config.seed)
        self.options = config.model_kwargs
        if model is None:
            model, self.options = build_model(config, len(train_set.classes))
        self.data = RunData(config, train_set, test_set, model, self.team, self.progress)
        self.plan = self.data.plan
        self._prepare(model)
        data = self._from_main(lambda: fingerprint(train_set, test_set))
        self.folder = self._from_main(lambda: RunFolder(config.out, config, resume, data))
        self.step, self.best, self.totals, self.seconds = 0, None, _zero_totals(), 0.0
        self.stop, self.asked, self.save_took = StopRequest(), False, 0.0
        self.records = []  # of the epochs so far, as in the log
        try:
            self._load_state()
        except BaseException:
            self.folder.close()
            raise

    # --- preparation ----------

    def _prepare(self, model):
        config = self.config
        if config.checkpoint_activations:
            if not hasattr(model, "set_grad_checkpointing"):
                raise InputError(
                    f"checkpoint_activations: {config.model} has no set_grad_checkpointing."
                )
            model.set_grad_checkpointing(True)
        model.to(self.device)
        if config.channels_last:
            model.to(memory_format=torch.channels_last)
        self.ema = None
        if config.ema:
            self.ema = ModelEmaV3(model, decay=config.ema, use_warmup=True)
        self.loss = Loss(config, len(self.data.classes))
        optimizer = build_optimizer(model, config)
        warmup = round(config.warmup_epochs * self.plan.steps_per_epoch)
        self.schedule = Schedule(optimizer, self.plan.total_steps, warmup, config.schedule)
        self.bare = model
        self.model, self.optimizer = self.accelerator.prepare(model, optimizer)

    def _from_main(self, action):
        """What ``action`` gives on the main process, on all of them; its failure stops all."""
        return self.team.same(self.team.first(action))

    # --- state ----------

    def _weights(self):
        """The weights that are validated and saved: the averaged ones, if the recipe averages."""
        return self.ema.module if self.ema else self.bare

    def _save_state(self):
        if not self.team.is_first:
            return
        self._stop_if_weights_are_not_finite()
        start = time.monotonic()
        scaler = getattr(self.accelerator, "scaler", None)
        self.folder.save_state(
            {
                "step": self.step,
                "best": self.best,
                "totals": self.totals,
                "seconds": self.seconds + time.monotonic() - self.started,
                "model": self.bare.state_dict(),
                "optimizer": self.optimizer.state_dict(),
                "ema": self.ema.module.state_dict() if self.ema else None,
                "scaler": scaler.state_dict() if scaler else None,
                "log": self.records,
                "quicker": self.quicker,
            }
        )
        self.saved_at = time.monotonic()
        self.save_took = self.saved_at - start

    def _load_state(self):
        """Every process takes the state that the main process reads."""
        state = self._from_main(lambda: self.folder.load_state())
        self.started = self.saved_at = self.exported_at = time.monotonic()
        self.quicker = self._from_main(self._find_quicker) if state is None else []
        if state is not None:
            self.step, self.best, self.totals, self.seconds, self.records = (
                state[key] for key in ("step", "best", "totals", "seconds", "log")
            )
            try:
                self._take(state)
            except (RuntimeError, ValueError, KeyError, TypeError, AttributeError) as error:
                raise CheckpointError(
                    f"{self.folder.path(RESUME)}: does not fit this run ({_first_line(error)}); "
                    "start again in another folder."
                ) from error
        use_onednn(self.bare, self.quicker)
        if self.team.is_first and not (state is None and self.folder.path("result.json").exists()):
            self.folder.write_log(self.records)

    def _take(self, state):
        epochs = self.step // self.plan.steps_per_epoch
        if self.step > self.plan.total_steps or len(self.records) != epochs:
            raise ValueError(f"{len(self.records)} epochs are logged after {self.step} updates")
        self.bare.load_state_dict(state["model"])
        self.optimizer.load_state_dict(state["optimizer"])
        if self.ema:
            self.ema.module.load_state_dict(state["ema"])
        if state["scaler"]:
            self.accelerator.scaler.load_state_dict(state["scaler"])
        self.quicker = state.get("quicker", [])  # as measured when the run began: it repeats

    def _find_quicker(self):
        """Names of the linear layers that ``fast`` changes."""
        if not self.config.fast:
            return []
        shape = (self.plan.micro_batch, 3, self.config.img_size, self.config.img_size)
        return find_quicker(self.bare.eval(), torch.zeros(shape, device=self.device))

    def card(self, **values):
        """What a checkpoint of this run says about itself."""
        config = self.config
        return {
            "model": config.model,
            "kwargs": self.options,
            "classes": self.data.classes,
            **self.data.stats,
            "img_size": config.img_size,
            "resize": config.resize,
            "data": config.data,
            "cropper": self._cropper_entry(),
            "seed": config.seed,
            "package": __version__,
            "recipe": config.as_dict(),
            **values,
        }

    def _cropper_entry(self):
        """What finds the object, for the second look: in a card it is the ViT's name."""
        vit = self.config.cropper
        name = read_metadata(vit).get("model", PHOTOGRAPHS) if Path(vit).is_file() else vit
        return {"vit": name, "rule": None, "input_size": self.config.cropper_size}

    def _save_weights(self, name, **values):
        if self.team.is_first:
            self._stop_if_weights_are_not_finite()
            save_checkpoint(
                self.folder.path(f"{name}.safetensors"), self._weights(), self.card(**values)
            )

    # --- training ----------

    def run(self):
        """Train what is left of the run, then evaluate; see `train`."""
        with closing(self.folder):
            result = self._from_main(lambda: self.folder.result())
            if result is None:
                with stop_request() as self.stop:
                    self._train()
                result = self._test()
            elif self._fits(result) and self.progress:
                tqdm.write(f"The run in {self.config.out} is finished: nothing to do.")
            self.accelerator.wait_for_everyone()
            return result

    def _fits(self, result):
        """True for a result of this very run, else an `InputError`."""
        expected = {"epochs": self.config.epochs, "steps": self.plan.total_steps}
        if self.records:
            expected["validation"] = self.best and {
                "images": len(self.data.val_set or ()),
                "best": self.best["accuracy"],
                "last": self.records[-1].get("val_accuracy"),
            }
        for key, value in expected.items():
            if result.get(key) != value:
                raise InputError(
                    f"{self.folder.path('result.json')} says {key}: {result.get(key)}, but this "
                    f"run makes {value}; the file is damaged."
                )
        return True

    def _train(self):
        plan, config = self.plan, self.config
        if self.step == 0:
            self._save_state()
        if self.progress:
            tqdm.write(announcement(self))
        self.model.train()
        plan.first_step = self.step
        batches = iter(self.data.batches(self.device))
        with tqdm(
            total=plan.total_steps,
            initial=self.step,
            unit=" updates",
            disable=not self.progress,
            dynamic_ncols=True,
        ) as bar:
            while self.step < plan.total_steps:
                epoch = self.step // plan.steps_per_epoch
                bar.set_description(f"epoch {epoch + 1}/{config.epochs}", refresh=False)
                self._update(batches)
                self.step += 1
                files.reached("update")
                self._show(bar)
                ends = self.step % plan.steps_per_epoch == 0
                if ends:
                    self._end_epoch(epoch + 1)
                if ends and self._due(self.exported_at):
                    self._save_weights("last", epoch=epoch + 1)
                    self.exported_at = time.monotonic()
                if self.asked or self._due(self.saved_at) or (ends and self._quickly_saved()):
                    self._save_state()
                if self.asked and self.step < plan.total_steps:
                    raise Stopped(self._how_to_go_on(), self.stop.code or 130)

    def _quickly_saved(self):
        """Whether saving takes less than a twentieth of an epoch: then each epoch is kept."""
        return 20 * self.save_took < time.monotonic() - self.saved_at

    def _how_to_go_on(self):
        epochs, rest = divmod(self.step, self.plan.steps_per_epoch)
        part = f" and {rest} of {self.plan.steps_per_epoch} updates of the next" if rest else ""
        launch = "python" if self.team.processes == 1 else "accelerate launch"
        command = f"{launch} -m mgff_tutorial train --resume --out {shlex.quote(self.config.out)}"
        return (
            f"stopped after {epochs} of {self.config.epochs} epochs{part}; all of it is saved in "
            f"{self.folder.path(RESUME)}. Continue with: {command}"
        )

    def _due(self, before):
        waited = time.monotonic() - before
        return self.step == self.plan.total_steps or waited >= self.config.save_seconds

    def _update(self, batches):
        """One optimiser update: all passes over this process's share, averaged over the images of
        all processes.
        """
        # Dropout and mixup depend on (seed, step, process) only: a resumed run draws the same
        # numbers.
        seed_everything(mixed_seed(self.config.seed, self.step, self.team.rank))
        self.schedule.set(self.step)
        self.optimizer.zero_grad()
        share = self.plan.batch_size // self.team.processes
        loss_sum, correct = torch.zeros((), device=self.device), torch.zeros((), device=self.device)
        for number in range(self.plan.passes):
            images, labels = (part.to(self.device, non_blocking=True) for part in next(batches))
            last = number == self.plan.passes - 1
            with nullcontext() if last else self.accelerator.no_sync(self.model):
                images, loss_of = self.loss(images, labels)
                logits = self.model(images)
                loss = loss_of(logits)
                self.accelerator.backward(loss / share)
            loss_sum += loss.detach()
            correct += (logits.detach().argmax(1) == labels).sum()
        norm = self.accelerator.clip_grad_norm_(
            self.model.parameters(), self.config.clip_grad or math.inf
        )
        asked = torch.tensor(float(self.stop.code is not None), device=self.device)
        loss_sum, correct, asked = self.accelerator.reduce(
            torch.stack([loss_sum, correct.float(), asked])
        ).tolist()
        self.asked = bool(asked)  # all processes stop after the same update
        self._stop_if_not_finite(loss_sum / self.plan.batch_size, norm)
        self.optimizer.step()
        if self.ema:
            self.ema.update(self.bare, step=self.step + 1)
        seen = {"loss": loss_sum, "correct": correct, "images": self.plan.batch_size}
        self.totals = {key: value + seen[key] for key, value in self.totals.items()}

    def _stop_if_not_finite(self, loss, norm):
        # float16: the scaler skips such updates itself
        scaled = getattr(self.accelerator, "scaler", None) is not None
        if math.isfinite(loss) and (scaled or norm is None or math.isfinite(float(norm))):
            return
        what = f"loss is {loss}" if not math.isfinite(loss) else f"gradient norm is {float(norm)}"
        if all_finite(self.bare.state_dict().values()):
            self._save_weights("last", epoch=self.step // self.plan.steps_per_epoch)
        path = Path(self.config.out) / "last.safetensors"
        path = path if path.is_file() else path.with_name("resume.pt")
        rate = max(group["lr"] for group in self.optimizer.param_groups)
        raise TrainingStopped(
            f"The {what} in epoch {self.step // self.plan.steps_per_epoch + 1}, update "
            f"{self.step + 1} (learning rate {rate:.2g}); training stopped before that update. "
            f"The weights from before are in {path}. Try a smaller lr, a longer warm-up, "
            "clip_grad, or precision: bf16 instead of fp16."
        )

    def _stop_if_weights_are_not_finite(self):
        """Before they take the place of sound ones on the disk."""
        for model in (self.bare, self._weights()):
            if not all_finite(model.state_dict().values()):
                raise TrainingStopped(
                    f"Weights are NaN or infinite after update {self.step}; training stopped, and "
                    f"{self.config.out} holds what was saved before. Try a smaller lr, a longer "
                    "warm-up or clip_grad; a checkpoint that it began with may hold such weights."
                )

    def _show(self, bar):
        seen = self.totals["images"]
        bar.update(1)
        if self.progress:
            rate = (bar.format_dict["rate"] or 0) * self.plan.batch_size
            bar.set_postfix_str(
                f"loss {self.totals['loss'] / seen:.3f}, accuracy "
                f"{self.totals['correct'] / seen:.1%}, "
                f"{rate:.{0 if rate >= 10 else 1}f} images/s",
                refresh=False,
            )

    def _end_epoch(self, epoch):
        totals, self.totals = self.totals, _zero_totals()
        record = {
            "epoch": epoch,
            "step": self.step,
            "lr": self.optimizer.param_groups[0]["lr"],
            "train_loss": totals["loss"] / totals["images"],
            "train_accuracy": totals["correct"] / totals["images"],
        }
        if self.data.val_set:
            found = self._predict(
                self._weights(), self.data.val_set, autocast=self.accelerator.autocast
            )
            record.update(val_loss=found.loss, val_accuracy=found.accuracy)
            before = (self.best["accuracy"], -self.best["loss"]) if self.best else (-1, 0)
            if (found.accuracy, -found.loss) > before:
                self.best = {"accuracy": found.accuracy, "loss": found.loss, "epoch": epoch}
                self._save_weights("best", epoch=epoch, validation=found.summary())
        self.records.append(record)
        if not self.team.is_first:
            return
        self.folder.log(record)
        files.reached("epoch")
        if self.config.tensorboard:
            self._tensorboard(record)
        waited = time.monotonic() - self.saved_at
        if epoch == self.config.epochs or waited >= self.config.save_seconds > 0:
            save_curves(self.records, self.folder.path("curves.png"))
        if self.progress:
            val = f", validation {record['val_accuracy']:.1%}" if self.data.val_set else ""
            tqdm.write(
                f"epoch {epoch:3d}: loss {record['train_loss']:.3f}, training "
                f"{record['train_accuracy']:.1%}{val}"
            )

    def _tensorboard(self, record):
        from torch.utils.tensorboard import SummaryWriter

        with SummaryWriter(str(self.folder.path("tensorboard"))) as writer:
            for key, value in record.items():
                if key not in ("epoch", "step"):
                    writer.add_scalar(key, value, record["epoch"])

    # --- the test split, once ----------

    def _test(self):
        # float32, as `evaluate` will do
        plain = self.accelerator.unwrap_model(self.model, keep_fp32_wrapper=False)
        last = {key: value.detach().clone() for key, value in self._weights().state_dict().items()}
        result = {
            "epochs": self.config.epochs,
            "steps": self.plan.total_steps,
            "seconds": round(self.seconds + time.monotonic() - self.started, 1),
            "validation": {"images": len(self.data.val_set)} if self.data.val_set else None,
        }
        name, epoch = "last", self.config.epochs
        plain.load_state_dict(last)
        if self.best:  # then these are the weights that the test split is asked about
            self._save_weights("last", epoch=epoch)
            name, path, epoch = "best", self.folder.path("best.safetensors"), self.best["epoch"]
            plain.load_state_dict(self._from_main(lambda: read_checkpoint(path)[0]))
            found = {"best": self.best["accuracy"], "last": self.records[-1]["val_accuracy"]}
            result["validation"] |= found
        found = self._predict(plain, self.data.test_set)
        result[name] = {**found.summary(), "epoch": epoch}
        trust = self._trust(plain)
        if self.team.is_first:
            paths = getattr(self.data.test_set, "paths", ())
            names = [str(Path(*Path(path).parts[-2:])) for path in paths] or None
            found.write_csv(self.folder.path(f"test_{name}.csv"), names)
            card = self.card(epoch=epoch, split="test", **found.summary(), **trust)
            card |= {"validation": self.best} if self.best else {}
            save_checkpoint(self.folder.path(f"{name}.safetensors"), plain, card)
            write_json(self.folder.path("result.json"), result)
        return result

    def _trust(self, model):
        """What the validation images say of how far the model can be believed."""
        if self.data.held is None:
            return {}
        model.card = self.card()
        return trust_entries(
            model, self.data.known, self.data.held, self.data.cropper, progress=self.progress
        )

    def _predict(self, model, dataset, autocast=None):
        return predict_split(
            model,
            dataset,
            self.device,
            batch_size=max(self.plan.micro_batch, 16),
            workers=0 if self.data.memory else self.config.workers,
            rank=self.team.rank,
            processes=self.team.processes,
            gather=self.team.gather,
            autocast=autocast,
            progress=self.progress,
        )


def _zero_totals():
    return {"loss": 0.0, "correct": 0.0, "images": 0}


def _first_line(error):
    return (str(error).splitlines() or [""])[0][:200] or type(error).__name__
