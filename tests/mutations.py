"""Break each public function in one plausible way and see whether some test notices.

    python tests/mutations.py                  all of them
    python tests/mutations.py --only crop,box  those whose name or file contains "crop" or "box"
    python tests/mutations.py --list

Each mutant is applied to a temporary copy of the package and the tests, never to the checkout, and
the tests named beside it run on the copy. The heavy libraries are imported once; every run is a
fork of that process. Exit code 1 if a mutant survives, or if the tests fail on the unbroken code.
"""

import argparse
import os
import shutil
import sys
import tempfile
import time
from pathlib import Path

CHECKOUT = Path(__file__).resolve().parent.parent
SECONDS = 900  # a run that takes longer counts as caught

# name, file of the package, text, broken text, tests
MUTANTS = [
    # patches, windows, swin
    (
        "patch pixels transposed",
        "patches.py",
        "permute(0, 2, 4, 1, 3, 5).flatten(3)                  # (B, H/4",
        "permute(0, 2, 4, 1, 5, 3).flatten(3)                  # (B, H/4",
        "test_patches.py",
    ),
    (
        "merging order",
        "patches.py",
        "permute(0, 1, 3, 4, 2, 5)",
        "permute(0, 1, 3, 2, 4, 5)",
        "test_patches.py",
    ),
    (
        "padding above",
        "patches.py",
        "F.pad(x, (0, 0, 0, right, 0, below))",
        "F.pad(x, (0, 0, right, 0, below, 0))",
        "test_patches.py",
    ),
    (
        "windows not transposed",
        "windows.py",
        "return x.transpose(2, 3).reshape(-1, wh * ww, channels)",
        "return x.reshape(-1, wh * ww, channels)",
        "test_windows.py",
    ),
    (
        "windows reversed wrongly",
        "windows.py",
        "return x.transpose(2, 3).reshape(-1, height, width, windows.shape[-1])",
        "return x.reshape(-1, height, width, windows.shape[-1])",
        "test_windows.py",
    ),
    (
        "bias index transposed",
        "windows.py",
        "return dy * (2 * ww - 1) + dx",
        "return dx * (2 * wh - 1) + dy",
        "test_windows.py",
    ),
    (
        "mask dropped",
        "windows.py",
        'masked_fill(~same, float("-inf"))',
        "masked_fill(~same, 0.0)",
        "test_windows.py",
    ),
    (
        "region off by one",
        "windows.py",
        "(position >= length - moved).long()",
        "(position > length - moved).long()",
        "test_windows.py",
    ),
    (
        "bias table nearest",
        "windows.py",
        'mode="bicubic", align_corners=False',
        'mode="nearest"',
        "test_windows.py",
    ),
    (
        "roll back the wrong way",
        "swin_blocks.py",
        "x = torch.roll(x, (sh, sw), dims=(1, 2))",
        "x = torch.roll(x, (-sh, -sw), dims=(1, 2))",
        "test_swin.py -k padded_and_oblong",
    ),
    (
        "shift in the other blocks",
        "swin_blocks.py",
        "shifted=i % 2 == 1",
        "shifted=i % 2 == 0",
        "test_swin.py -k padded_and_oblong",
    ),
    (
        "stochastic depth not scaled",
        "swin_blocks.py",
        "return x * (kept / (1 - self.rate))",
        "return x * kept",
        "test_swin.py -k stochastic",
    ),
    (
        "stochastic depth in evaluation",
        "swin_blocks.py",
        "if not self.training or self.rate == 0.0:",
        "if self.rate == 0.0:",
        "test_swin.py -k stochastic",
    ),
    (
        "taps before merging",
        "swin.py",
        "maps.append(x)\n            x = stage.run_blocks(x)",
        "x = stage.run_blocks(x)\n            maps.append(x)",
        "test_numbers.py -k merging",
    ),
    (
        "last map without its norm",
        "swin.py",
        "[*maps, self.norm(x)]",
        "[*maps, x]",
        "test_swin.py -k last_map",
    ),
    (
        "maximum for mean in the head",
        "swin.py",
        "x = x.mean((1, 2))",
        "x = x.amax((1, 2))",
        "test_swin.py -k padded_and_oblong",
    ),
    (
        "merging of the authors' files",
        "swin_weights.py",
        "int(m[1]) + 1",
        "int(m[1])",
        "test_swin.py -k original",
    ),
    (
        "oneDNN without bias",
        "linear.py",
        "_linear_pointwise(x, weight, bias, activation",
        "_linear_pointwise(x, weight, None, activation",
        "test_linear.py",
    ),
    (
        "gradient of the bias",
        "linear.py",
        "for_bias = grads.sum(0)",
        "for_bias = grads.mean(0)",
        "test_linear.py",
    ),
    (
        "products of other matrices",
        "linear.py",
        "for x, y in zip(a if a.ndim == 3 else a.expand(len(b), -1, -1), b)",
        "for x, y in zip(a if a.ndim == 3 else a.expand(len(b), -1, -1), b.flip(0))",
        "test_linear.py",
    ),
    (
        "bias of other windows",
        "attend.py",
        "added = bias[first:first + piece]",
        "added = bias[:piece]",
        "test_attend.py",
    ),
    (
        "bias taken away",
        "attend.py",
        "*bias.shape) + bias ",
        "*bias.shape) - bias ",
        "test_attend.py",
    ),
    (
        "weights never dropped",
        "attend.py",
        "return F.dropout(weights, dropout) @ v",
        "return weights @ v",
        "test_attend.py",
    ),
    (
        "freed memory given back",
        "device.py",
        "set_option(mmap_threshold, 2**30)",
        "set_option(mmap_threshold, 2**20)",
        "test_device.py",
    ),
    # align, attention, graph, MGFF
    (
        "alignment transposed",
        "align.py",
        "permute(0, 2, 4, 1, 3, 5).flatten(3)        # B, h, w, C",
        "permute(0, 2, 4, 1, 5, 3).flatten(3)        # B, h, w, C",
        "test_align.py",
    ),
    (
        "alignment padded on one side",
        "align.py",
        "(spare[1] // 2, spare[1] - spare[1] // 2, spare[0] // 2, spare[0] - spare[0] // 2)",
        "(0, spare[1], 0, spare[0])",
        "test_align.py",
    ),
    (
        "alignment without norm",
        "align.py",
        "return [norm(conv(maps[i])) for",
        "return [conv(maps[i]) for",
        "test_align.py",
    ),
    (
        "batches of maps unchecked",
        "align.py",
        "if any(x.shape[0] != maps[0].shape[0] for x in maps):",
        "if False:",
        "test_numbers.py -k broadcast",
    ),
    (
        "attention unscaled",
        "attention.py",
        "scores = q @ k.transpose(-2, -1) * q.shape[-1] ** -0.5",
        "scores = q @ k.transpose(-2, -1)",
        "test_attention.py",
    ),
    (
        "E_pos lost",
        "attention.py",
        "attend(q, k, v, None if bias is None else bias[None])",
        "attend(q, k, v)",
        "test_attention.py",
    ),
    (
        "softmax over queries",
        "attention.py",
        "else scores + bias).softmax(-1)",
        "else scores + bias).softmax(-2)",
        "test_attention.py",
    ),
    (
        "residual always on",
        "attention.py",
        "out = x + out if self.residual else out",
        "out = x + out",
        "test_attention.py",
    ),
    ("SE by maximum", "attention.py", "x.mean((2, 3))", "x.amax((2, 3))", "test_attention.py"),
    (
        "SE without relu",
        "attention.py",
        "self.excite(F.relu(self.squeeze(",
        "self.excite((self.squeeze(",
        "test_attention.py",
    ),
    (
        "adjacency transposed",
        "graph.py",
        "return self.adjacency + self.alpha",
        "return self.adjacency.T + self.alpha",
        "test_graph.py",
    ),
    (
        "query and key swapped",
        "graph.py",
        "torch.tanh(q - k.transpose(1, 2))",
        "torch.tanh(k - q.transpose(1, 2))",
        "test_graph.py",
    ),
    (
        "super-nodes no mean",
        "graph.py",
        "assignment.sum(1, keepdim=True)",
        "assignment.sum(2, keepdim=True)",
        "test_graph.py",
    ),
    (
        "neighbours two away",
        "graph.py",
        ".abs().amax(-1) <= 1",
        ".abs().amax(-1) <= 2",
        "test_graph.py",
    ),
    (
        "granularities unlinked",
        "graph.py",
        "torch.kron(torch.ones_like(same_map), same_place)",
        "torch.kron(same_map, same_place)",
        "test_graph.py",
    ),
    (
        "gate left out",
        "mgff.py",
        "update = self.gate * self.exit(",
        "update = self.exit(",
        "test_mgff.py -k baseline_and_literal",
    ),
    (
        "granularities in reverse",
        "mgff.py",
        "nodes = torch.cat(tokens,",
        "nodes = torch.cat(tokens[::-1],",
        "test_mgff.py -k nodes_are",
    ),
    (
        "attentions in the other order",
        "mgff.py",
        "channel(attention(m))",
        "attention(channel(m))",
        "test_numbers.py -k before_attention",
    ),
    (
        "dropout in evaluation",
        "mgff.py",
        "nn.functional.dropout(x, self.drop_rate, self.training)",
        "nn.functional.dropout(x, self.drop_rate, True)",
        "test_numbers.py -k dropout",
    ),
    (
        "decay of vectors",
        "mgff.py",
        "0.0 if parameter.ndim <= 1 or name in skipped",
        "0.0 if name in skipped",
        "test_numbers.py -k decayed",
    ),
    (
        "first grids for last",
        "backbones.py",
        "if grid not in grids[i + 1:]][-wanted:]",
        "if grid not in grids[i + 1:]][:wanted]",
        "test_backbones.py",
    ),
    (
        "class token as a patch",
        "backbones.py",
        "final[:, final.shape[1] - grid[0] * grid[1]:]",
        "final[:, :grid[0] * grid[1]]",
        "test_backbones.py",
    ),
    # response, cropper, two stages
    (
        "rows for columns",
        "response.py",
        "[..., patches].mean(dim=1).sum(dim=1)",
        "[..., patches].mean(dim=1).sum(dim=2)",
        "test_response.py -k literal",
    ),
    (
        "another token's row",
        "response.py",
        "queries = slice(0, 1) if record.has_class_token else slice(record.prefix, None)\n    rows",
        "queries = slice(1, 2) if record.has_class_token else slice(record.prefix, None)\n    rows",
        "test_response.py -k row_zero",
    ),
    (
        "values forgotten",
        "response.py",
        'spectral_cut(affinity(record, ("query", "value")), seen)',
        "spectral_cut(affinity(record), seen)",
        "test_response.py -k follows",
    ),
    (
        "cosines not squared",
        "response.py",
        "cosine.clamp(min=1e-3) ** 2",
        "cosine.clamp(min=1e-3)",
        "test_response.py -k affinity",
    ),
    (
        "the ViT's rule ignored",
        "response.py",
        '.get("response_rule", DEFAULT_RULE)',
        '.get("rule", DEFAULT_RULE)',
        "test_response.py -k follows",
    ),
    (
        "looks at the size of pretraining",
        "models.py",
        "LOOK if pretrained is True",
        "96 if pretrained is True",
        "test_models.py -k larger_pictures",
    ),
    (
        "the worst trial is chosen",
        "experiments/finetuning.py",
        "return max(scores, key=scores.get)",
        "return min(scores, key=scores.get)",
        "test_experiments.py -k whole_models",
    ),
    (
        "trials look at the test images",
        "experiments/finetuning.py",
        "study.train.subset([0]) if validation else study.test",
        "study.test",
        "test_experiments.py -k whole_models",
    ),
    (
        "merged without the crop",
        "experiments/ablation.py",
        "(stage1 + stage2) / 2",
        "(stage1 + stage1) / 2",
        "test_experiments.py -k whole_models",
    ),
    (
        "target judged upside down",
        "benchmark/targets.py",
        "measured <= bound if at_most else measured >= bound",
        "measured >= bound if at_most else measured <= bound",
        "test_benchmark.py -k target",
    ),
    (
        "rollout from the front",
        "response.py",
        "attention @ mixed",
        "mixed @ attention",
        "test_response.py -k rollout",
    ),
    (
        "outliers kept",
        "response.py",
        "return torch.minimum(weights,",
        "return torch.maximum(weights,",
        "test_response.py -k clipping",
    ),
    (
        "map with aligned corners",
        "response.py",
        'mode="bilinear", align_corners=False',
        'mode="bilinear", align_corners=True',
        "test_response.py -k places",
    ),
    (
        "box off by one",
        "cropper.py",
        "columns[-1] + 1, rows[-1] + 1",
        "columns[-1], rows[-1]",
        "test_cropper.py -k box_is_exclusive",
    ),
    (
        "four neighbours",
        "cropper.py",
        "np.ones((3, 3), dtype=int)",
        "np.array([[0, 1, 0], [1, 1, 1], [0, 1, 0]])",
        "test_cropper.py -k component",
    ),
    (
        "smallest component",
        "cropper.py",
        "[1:].argmax()",
        "[1:].argmin()",
        "test_cropper.py -k component",
    ),
    (
        "sides swapped in padding",
        "cropper.py",
        "limit = boxes.new_tensor([width, height])",
        "limit = boxes.new_tensor([height, width])",
        "test_cropper.py -k padding",
    ),
    ("no fallback", "cropper.py", "boxes[fallback] = ", "_ = ", "test_cropper.py -k degenerate"),
    (
        "crop rounded inwards",
        "cropper.py",
        "int(np.ceil(box[2]))",
        "int(np.floor(box[2]))",
        "test_numbers.py -k outwards",
    ),
    (
        "ViT in training mode",
        "cropper.py",
        "super().train(mode)\n        self.vit.eval()",
        "super().train(mode)",
        "test_cropper.py -k frozen",
    ),
    (
        "otsu's worst cut",
        "cropper.py",
        "** 2).argmax(dim=1",
        "** 2).argmin(dim=1",
        "test_cropper.py -k otsu",
    ),
    (
        "stages swapped in the merge",
        "two_stage.py",
        "torch.lerp(stage1, stage2, self.weight)",
        "torch.lerp(stage2, stage1, self.weight)",
        "test_two_stage.py -k weight",
    ),
    (
        "boxes in the ViT's pixels",
        "cropper.py",
        "found.boxes.cpu() * sizes / sizes.new_tensor([width, height] * 2)",
        "found.boxes.cpu()",
        "test_two_stage.py -k original",
    ),
    (
        "predict in training mode",
        "two_stage.py",
        "self.eval()\n        try:",
        "try:",
        "test_two_stage.py -k mode",
    ),
    (
        "width for height",
        "cropper.py",
        "[image.shape[-1], image.shape[-2]] * 2",
        "[image.shape[-2], image.shape[-1]] * 2",
        "test_two_stage.py -k boxes",
    ),
    (
        "ViT sees unscaled colours",
        "cropper.py",
        "found = self((inputs - mean.to(inputs.device)) / std.to(inputs.device))",
        "found = self(inputs)",
        "test_numbers.py -k colours",
    ),
    (
        "boxes of another cropper",
        "boxes.py",
        "rule, cropper.tau, cropper.padding,",
        "rule, cropper.tau,",
        "test_boxes.py -k another_cropper",
    ),
    (
        "heads of the ViT forgotten",
        "boxes.py",
        'getattr(block.attn, "num_heads", None)',
        "None",
        "test_boxes.py -k another_cropper",
    ),
    (
        "boxes of an image that changed",
        "boxes.py",
        "|{status.st_mtime_ns}|{status.st_size}",
        "|",
        "test_boxes.py -k changed_image",
    ),
    (
        "boxes stored but not read",
        "boxes.py",
        "self._read()\n\n    def known",
        "pass\n\n    def known",
        "test_boxes.py -k second_evaluation",
    ),
    (
        "boxes in the order of the store",
        "boxes.py",
        "return np.array([self.boxes[name] for name in self.names]",
        "return np.array([self.boxes[name] for name in sorted(self.boxes)]",
        "test_boxes.py -k found_once",
    ),
    (
        "given boxes of other images",
        "two_stage.py",
        "boxes = boxes if found is None else found.boxes",
        "boxes = boxes.flip(0) if found is None else found.boxes",
        "test_boxes.py -k given_boxes",
    ),
    (
        "views from files never close",
        "loading.py",
        "if draw[4] >= self.share:",
        "if draw[4] >= 0:",
        "test_boxes.py -k from_files",
    ),
    (
        "tokens of any width",
        "patches.py",
        "any(side is not None and side != got for side, got in zip(shape, x.shape))",
        "False",
        "test_refusals.py -k one_sentence",
    ),
    (
        "folder taken for a file",
        "files.py",
        "    if path.is_dir():\n        raise IsADir",
        "    if False:\n        raise IsADir",
        "test_refusals.py -k replaced",
    ),
    (
        "fingerprint of the names alone",
        "checkpoints.py",
        "digest.update(value.detach().float().cpu().numpy().tobytes())",
        "pass",
        "test_boxes.py -k another_cropper",
    ),
    (
        "precision of the classifier forgotten",
        "two_stage.py",
        "self.classifier(v.to(parameter.dtype))",
        "self.classifier(v)",
        "test_refusals.py -k precision",
    ),
    (
        "skipped before, forgotten after",
        "commands/predict.py",
        "return 1 if skipped or before else 0",
        "return 1 if skipped else 0",
        "test_command_line.py -k skipped_before",
    ),
    (
        "batches in the order of the processes",
        "commands/predict.py",
        "if number % self.processes == self.rank:",
        "if number % self.processes != self.rank:",
        "test_command_line.py -k predict_as_one",
    ),
    # pictures, data sets
    (
        "EXIF ignored",
        "images.py",
        "if turn != 1:\n        upright",
        "if False:\n        upright",
        "test_images.py -k orientation",
    ),
    (
        "EXIF 6 mirrored",
        "images.py",
        "6: (height - y, x)",
        "6: (y, x)",
        "test_images.py -k orientation",
    ),
    (
        "box on the wrong side of the crop",
        "transforms.py",
        "_boxes(box) * scale - margin",
        "_boxes(box) * scale + margin",
        "test_transforms.py -k eval",
    ),
    (
        "mean and deviation swapped",
        "transforms.py",
        "(images * std + mean)",
        "(images * mean + std)",
        "test_transforms.py -k mean_and_std",
    ),
    (
        "labels by order in the file",
        "datasets/cub.py",
        "labels.append(order[classes_of[key]])",
        "labels.append(int(classes_of[key]) - 1)",
        "test_datasets.py -k test_cub",
    ),
    (
        "classes sorted as text",
        "datasets/cub.py",
        "keys = sorted(names, key=",
        "keys = sorted(names) or sorted(names, key=",
        "test_datasets.py -k test_cub",
    ),
    (
        "width taken for x1",
        "datasets/cub.py",
        "_xywh)[0]",
        "_xyxy)[0]\n\n\ndef _xyxy(fields):\n    return tuple(map(float, fields))",
        "test_datasets.py -k test_cub",
    ),
    (
        "splits swapped",
        "datasets/base.py",
        'train == (split == "train")]',
        'train != (split == "train")]',
        "test_datasets.py -k test_cub",
    ),
    # evaluation, training, checkpoints
    (
        "evaluation in training mode",
        "evaluation.py",
        "    model.eval()\n",
        "",
        "test_numbers.py -k evaluation",
    ),
    (
        "predictions in the wrong order",
        "evaluation.py",
        "probabilities[place] = values",
        "probabilities[np.sort(place)[::-1]] = values",
        "test_numbers.py -k evaluation",
    ),
    (
        "an image counted twice",
        "evaluation.py",
        "if not np.array_equal(np.sort(positions), np.arange(len(dataset))):",
        "if False:",
        "test_numbers.py -k processes",
    ),
    (
        "confusion transposed",
        "metrics.py",
        "(self.labels, self.predicted), 1",
        "(self.predicted, self.labels), 1",
        "test_metrics.py",
    ),
    (
        "least probable on top",
        "metrics.py",
        "np.argsort(-self.probabilities",
        "np.argsort(self.probabilities",
        "test_metrics.py",
    ),
    (
        "labels shuffled",
        "loading.py",
        "self.labels[[index for _, index in places]]",
        "self.labels[sorted(index for _, index in places)]",
        "test_numbers.py -k labels",
    ),
    (
        "every process the same images",
        "loading.py",
        "self.step_batch(step)[self.rank :: self.processes]",
        "self.step_batch(step)[:: self.processes]",
        "test_loading.py",
    ),
    (
        "the same order every epoch",
        "seeding.py",
        "default_rng([int(seed), int(epoch)]).permutation",
        "default_rng([int(seed)]).permutation",
        "test_loading.py",
    ),
    (
        "optimiser not resumed",
        "training.py",
        'self.optimizer.load_state_dict(state["optimizer"])',
        "pass",
        "test_training.py -k stop_at_any_update",
    ),
    (
        "epoch lost on resume",
        "training.py",
        "plan.first_step = self.step",
        "plan.first_step = 0",
        "test_training.py -k stop_at_any_update",
    ),
    (
        "averaged weights not saved",
        "training.py",
        "return self.ema.module if self.ema else self.bare",
        "return self.bare",
        "test_numbers.py -k averaged",
    ),
    (
        "test set chooses the best",
        "training.py",
        "self.data.val_set, autocast",
        "self.data.test_set, autocast",
        "test_numbers.py -k averaged",
    ),
    (
        "checkpoints not atomic",
        "files.py",
        'temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")',
        "temporary = path",
        "test_checkpoints.py -k disk",
    ),
    (
        "file unnamed on a full disk",
        "files.py",
        "failure.filename = str(path)",
        "pass",
        "test_full_disk.py -k grow",
    ),
    (
        "torch's word for a full disk",
        "files.py",
        "raise failure from None",
        "raise",
        "test_full_disk.py -k grow",
    ),
    (
        "every process prints",
        "commands/evaluate.py",
        "    if not processes.is_main_process:\n        return",
        "    if False:\n        return",
        "test_command_line.py -k two_processes",
    ),
    (
        "model on meta or nowhere",
        "memory.py",
        "except (RuntimeError, NotImplementedError):",
        "except KeyError:",
        "test_memory.py -k stripped",
    ),
    (
        "difference not looked at",
        "checkpoints.py",
        "    if difference:\n",
        "    if False:\n",
        "test_checkpoints.py -k nothing_is_loaded",
    ),
    (
        "pickle executed",
        "checkpoints.py",
        'map_location="cpu", weights_only=True)',
        'map_location="cpu", weights_only=False)',
        "test_checkpoints.py -k hostile",
    ),
    (
        "archive member that leaves",
        "archives.py",
        '".." in member.parts',
        "False",
        "test_archives.py -k leave",
    ),
    # drawing, names
    (
        "drawn box off by one",
        "renderer/scene.py",
        "float(columns[-1] + 1), float(rows[-1] + 1)",
        "float(columns[-1]), float(rows[-1])",
        "test_renderer.py -k box_and_parts",
    ),
    (
        "hidden parts visible",
        "renderer/scene.py",
        "bool(inside and int(part_map[int(y), int(x)]) in classes)",
        "bool(inside)",
        "test_renderer.py -k box_and_parts",
    ),
    (
        "seed ignored",
        "renderer/scene.py",
        "rng = np.random.default_rng([7, seed])",
        "rng = np.random.default_rng([7, 0])",
        "test_numbers.py -k seed_draws",
    ),
    (
        "classifier not reset",
        "mgff.py",
        "self.classifier = layer.to(",
        "self.unused = layer.to(",
        "test_mgff.py -k conventions",
    ),
]
HEAVY = (
    "numpy",
    "torch",
    "torchvision.transforms.v2",
    "timm",
    "scipy.ndimage",
    "PIL.Image",
    "hypothesis",
    "pytest",
    "safetensors.torch",
    "accelerate",
    "tqdm.auto",
    "yaml",
    "matplotlib.figure",
)


def main():
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument(
        "--only", default="", help="mutants whose name or file contains this, or one of these (a,b)"
    )
    parser.add_argument(
        "--part", default="1/1", help="2/3 runs the second third, so that a long run can be cut up"
    )
    parser.add_argument("--list", action="store_true")
    args = parser.parse_args()
    chosen = [
        m for m in MUTANTS if any(word in m[0] or word in m[1] for word in args.only.split(","))
    ]
    part, parts = map(int, args.part.split("/"))
    chosen = chosen[len(chosen) * (part - 1) // parts : len(chosen) * part // parts]
    if args.list:
        print("\n".join(f"{name}: {file} ({tests})" for name, file, _, _, tests in chosen))
        return 0
    sys.dont_write_bytecode = True  # a cached module would hide the next mutant
    with tempfile.TemporaryDirectory() as folder:
        copy = Path(folder)
        prepare(copy)
        for module in HEAVY:
            __import__(module)
        sys.modules["torch"].set_num_threads(1)
        sound, counts = {}, {"caught": 0, "SURVIVED": 0, "invalid": 0}
        for name, file, old, new, tests in chosen:
            started, verdict = time.monotonic(), judge(copy, file, old, new, tests, sound)
            counts[verdict.partition(":")[0]] += 1
            print(
                f"{verdict:<10} {name} ({file}; {tests}) {time.monotonic() - started:.0f} s",
                flush=True,
            )
    print(", ".join(f"{count} {verdict}" for verdict, count in counts.items()), "of", len(chosen))
    return 0 if counts["caught"] == len(chosen) else 1


def prepare(copy):
    """The package, the tests and the settings; data and notebooks are linked, for nothing is to
    change them.
    """
    leave = shutil.ignore_patterns("__pycache__", ".hypothesis")
    for part in ("mgff_tutorial", "tests"):
        shutil.copytree(CHECKOUT / part, copy / part, ignore=leave)
    for part in ("data", "notebooks"):
        os.symlink(CHECKOUT / part, copy / part)
    shutil.copy(CHECKOUT / "pyproject.toml", copy)


def judge(copy, file, old, new, tests, sound):
    """ "caught", "SURVIVED", or "invalid: reason" for one mutant."""
    path = copy / "mgff_tutorial" / file
    text = path.read_text(encoding="utf-8")
    if text.count(old) != 1:
        return f"invalid: the text occurs {text.count(old)} times"
    if tests not in sound:
        sound[tests] = run(copy, tests)
    if sound[tests] != 0:
        return f"invalid: the tests end with {sound[tests]} on the unbroken code"
    path.write_text(text.replace(old, new), encoding="utf-8")
    try:
        code = run(copy, tests)
    finally:
        path.write_text(text, encoding="utf-8")
    if code in (0, 1):
        return "caught" if code else "SURVIVED"
    return "caught" if code == "late" else f"invalid: the tests end with {code}"


def run(copy, tests):
    """The exit code of pytest on the copy, in a fork of this process; "late" after `SECONDS`."""
    words = tests.split(" ", 2)
    child = os.fork()
    if child == 0:
        code = 9
        try:
            os.setpgid(0, 0)
            os.chdir(copy)
            os.environ.update(PYTHONPATH=str(copy), PYTHONDONTWRITEBYTECODE="1")
            sys.path[:0] = [str(copy), str(copy / "tests")]
            sink = os.open(copy / "output.txt", os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
            os.dup2(sink, 1), os.dup2(sink, 2)
            import pytest

            import mgff_tutorial

            if Path(mgff_tutorial.__file__).parent == copy / "mgff_tutorial":
                code = int(
                    pytest.main(
                        [
                            "-x",
                            "-q",
                            "-p",
                            "no:cacheprovider",
                            "--rootdir",
                            str(copy),
                            str(copy / "tests" / words[0]),
                            *words[1:],
                        ]
                    )
                )
        finally:
            os._exit(code)
    for _ in range(SECONDS * 10):
        done, status = os.waitpid(child, os.WNOHANG)
        if done:
            return os.waitstatus_to_exitcode(status)
        time.sleep(0.1)
    os.killpg(child, 9)
    os.waitpid(child, 0)
    return "late"


if __name__ == "__main__":
    sys.exit(main())
