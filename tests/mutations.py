"""Break each public function in one plausible way and see whether some test notices.

    python tests/mutations.py                  all of them
    python tests/mutations.py --only crop,box  those whose name or file contains "crop" or "box"
    python tests/mutations.py --list
    python tests/mutations.py --check          does every mutant still find its place? (seconds)

Each mutant is applied to a temporary copy of the package and the tests, never to the checkout, and
the tests named beside it run on the copy. The heavy libraries are imported once; every run is a
fork of that process. Exit code 1 if a mutant survives, or if the tests fail on the unbroken code.
"""

import argparse
import ast
import os
import shutil
import sys
import tempfile
import time
from pathlib import Path

CHECKOUT = Path(__file__).resolve().parent.parent
SECONDS = 900  # a run that takes longer counts as caught

# name, file of the package, code, broken code, tests. Code is found by its syntax tree, so neither
# layout nor comments nor quotes matter: an expression, or statements that follow each other. It
# must stand in the file once.
MUTANTS = [
    # patches, windows, swin
    (
        "patch pixels transposed",
        "patches.py",
        "x.permute(0, 3, 1, 2)",
        "x.permute(0, 3, 2, 1)",
        "test_patches.py",
    ),
    (
        "merging order",
        "patches.py",
        "x.permute(0, 1, 3, 4, 2, 5)",
        "x.permute(0, 1, 3, 2, 4, 5)",
        "test_patches.py",
    ),
    (
        "padding above",
        "patches.py",
        "(0, 0, 0, right, 0, below)",
        "(0, 0, right, 0, below, 0)",
        "test_patches.py",
    ),
    (
        "windows not transposed",
        "windows.py",
        "x.transpose(2, 3).reshape(-1, wh * ww, channels)",
        "x.reshape(-1, wh * ww, channels)",
        "test_windows.py",
    ),
    (
        "windows reversed wrongly",
        "windows.py",
        "x.transpose(2, 3).reshape(-1, height, width, windows.shape[-1])",
        "x.reshape(-1, height, width, windows.shape[-1])",
        "test_windows.py",
    ),
    (
        "bias index transposed",
        "windows.py",
        "dy * (2 * ww - 1) + dx",
        "dx * (2 * wh - 1) + dy",
        "test_windows.py",
    ),
    (
        "mask dropped",
        "windows.py",
        "torch.zeros(same.shape, device=device).masked_fill(~same, value)",
        "torch.zeros(same.shape, device=device)",
        "test_windows.py",
    ),
    (
        "region off by one",
        "windows.py",
        "position >= length - moved",
        "position > length - moved",
        "test_windows.py",
    ),
    (
        "bias table nearest",
        "windows.py",
        "F.interpolate(grid, size=(nh, nw), mode='bicubic', align_corners=False)",
        "F.interpolate(grid, size=(nh, nw), mode='nearest')",
        "test_windows.py",
    ),
    (
        "roll back the wrong way",
        "windows.py",
        "torch.roll(x, (sh, sw), dims=(1, 2))",
        "torch.roll(x, (-sh, -sw), dims=(1, 2))",
        "test_swin.py -k padded_and_oblong",
    ),
    (
        "shift in the other blocks",
        "swin.py",
        "i % 2 == 1",
        "i % 2 == 0",
        "test_swin.py -k padded_and_oblong",
    ),
    (
        "stochastic depth not scaled",
        "windows.py",
        "kept / (1 - rate)",
        "kept",
        "test_swin.py -k stochastic",
    ),
    (
        "stochastic depth in evaluation",
        "windows.py",
        "not self.training or self.rate == 0.0",
        "self.rate == 0.0",
        "test_swin.py -k stochastic",
    ),
    (
        "taps before merging",
        "swin.py",
        "maps.append(x)\nx = stage.run_blocks(x)",
        "x = stage.run_blocks(x)\nmaps.append(x)",
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
        "x.mean((1, 2))",
        "x.amax((1, 2))",
        "test_swin.py -k padded_and_oblong",
    ),
    (
        "merging of the authors' files",
        "pretrained.py",
        "int(m[1]) + 1",
        "int(m[1])",
        "test_swin.py -k original",
    ),
    (
        "oneDNN without bias",
        "support/fast.py",
        "torch.ops.mkldnn._linear_pointwise(x, weight, bias, 'none', [], '')",
        "torch.ops.mkldnn._linear_pointwise(x, weight, None, 'none', [], '')",
        "test_fast.py",
    ),
    ("gradient of the bias", "support/fast.py", "grads.sum(0)", "grads.mean(0)", "test_fast.py"),
    (
        "the slower library taken",
        "support/fast.py",
        "machine[key] > 1.05",
        "machine[key] < 1.05",
        "test_fast.py",
    ),
    (
        "masks of other windows",
        "windows.py",
        "bias.repeat(windows.shape[0] // mask.shape[0], 1, 1, 1)",
        "bias.repeat_interleave(windows.shape[0] // mask.shape[0], 0)",
        "test_swin.py -k padded_and_oblong",
    ),
    (
        "weights never dropped",
        "windows.py",
        "self.attn_drop if self.training else 0.0",
        "0.0",
        "test_windows.py",
    ),
    ("freed memory given back", "support/device.py", "2 ** 30", "2 ** 20", "test_device.py"),
    # align, attention, graph, MGFF
    (
        "alignment padded on one side",
        "align.py",
        "(wide // 2, wide - wide // 2, high // 2, high - high // 2)",
        "(0, wide, 0, high)",
        "test_align.py",
    ),
    ("alignment without norm", "align.py", "norm(conv(maps[i]))", "conv(maps[i])", "test_align.py"),
    (
        "batches of maps unchecked",
        "mgff.py",
        "count = x.shape[0]",
        "pass",
        "test_numbers.py -k broadcast",
    ),
    (
        "attention unscaled",
        "attention.py",
        "q @ k.transpose(-2, -1) * q.shape[-1] ** (-0.5)",
        "q @ k.transpose(-2, -1)",
        "test_attention.py",
    ),
    (
        "E_pos lost",
        "attention.py",
        "attend(q, k, v, bias)",
        "attend(q, k, v)",
        "test_attention.py",
    ),
    (
        "softmax over queries",
        "attention.py",
        "(scores if bias is None else scores + bias).softmax(-1)",
        "(scores if bias is None else scores + bias).softmax(-2)",
        "test_attention.py",
    ),
    (
        "residual always on",
        "attention.py",
        "x + out if self.residual else out",
        "x + out",
        "test_attention.py",
    ),
    ("SE by maximum", "attention.py", "x.mean((2, 3))", "x.amax((2, 3))", "test_attention.py"),
    (
        "SE without relu",
        "attention.py",
        "F.relu(self.squeeze(x.mean((2, 3))))",
        "self.squeeze(x.mean((2, 3)))",
        "test_attention.py",
    ),
    (
        "adjacency transposed",
        "graph.py",
        "self.adjacency + self.alpha * torch.tanh(difference)",
        "self.adjacency.T + self.alpha * torch.tanh(difference)",
        "test_graph.py",
    ),
    (
        "query and key swapped",
        "graph.py",
        "q - k.transpose(1, 2)",
        "k - q.transpose(1, 2)",
        "test_graph.py",
    ),
    (
        "super-nodes no mean",
        "graph.py",
        "weights.sum(1, keepdim=True)",
        "weights.sum(2, keepdim=True)",
        "test_graph.py",
    ),
    (
        "neighbours two away",
        "graph.py",
        "(places[:, None] - places[None]).abs().amax(-1) <= 1",
        "(places[:, None] - places[None]).abs().amax(-1) <= 2",
        "test_graph.py",
    ),
    (
        "granularities unlinked",
        "graph.py",
        "torch.ones_like(same_map)",
        "same_map",
        "test_graph.py",
    ),
    (
        "gate left out",
        "mgff.py",
        "self.gate * self.exit(self.exit_norm(vector))",
        "self.exit(self.exit_norm(vector))",
        "test_mgff.py -k baseline_and_literal",
    ),
    (
        "granularities in reverse",
        "mgff.py",
        "torch.cat(tokens, dim=1 if self.options.fuse == 'nodes' else 2)",
        "torch.cat(tokens[::-1], dim=1 if self.options.fuse == 'nodes' else 2)",
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
        "parameter.ndim <= 1 or name in skipped",
        "name in skipped",
        "test_numbers.py -k decayed",
    ),
    (
        "first grids for last",
        "backbones.py",
        "[i for i, grid in enumerate(grids) if grid not in grids[i + 1 :]][-wanted:]",
        "[i for i, grid in enumerate(grids) if grid not in grids[i + 1 :]][:wanted]",
        "test_backbones.py",
    ),
    (
        "class token as a patch",
        "backbones.py",
        "final[:, final.shape[1] - self.grid[0] * self.grid[1] :]",
        "final[:, : self.grid[0] * self.grid[1]]",
        "test_backbones.py",
    ),
    # response, cropper, two stages
    (
        "rows for columns",
        "response.py",
        "layer.matrix(patches)[..., patches].mean(dim=1).sum(dim=1)",
        "layer.matrix(patches)[..., patches].mean(dim=1).sum(dim=2)",
        "test_response.py -k literal",
    ),
    (
        "another token's row",
        "response.py",
        "queries = slice(0, 1) if record.has_class_token else slice(record.prefix, None)\n"
        "rows = [\n"
        "    layer.matrix(queries)[..., record.prefix :].mean(dim=(1, 2)) for layer in "
        "record.layers\n"
        "]",
        "queries = slice(1, 2) if record.has_class_token else slice(record.prefix, None)\n"
        "rows = [\n"
        "    layer.matrix(queries)[..., record.prefix :].mean(dim=(1, 2)) for layer in "
        "record.layers\n"
        "]",
        "test_response.py -k row_zero",
    ),
    (
        "values forgotten",
        "response.py",
        "affinity(record, ('query', 'value'))",
        "affinity(record)",
        "test_response.py -k follows",
    ),
    (
        "cosines not squared",
        "response.py",
        "cosine.clamp(min=0.001) ** 2",
        "cosine.clamp(min=0.001)",
        "test_response.py -k affinity",
    ),
    (
        "the ViT's rule ignored",
        "response.py",
        "getattr(vit, 'response_rule', DEFAULT_RULE)",
        "getattr(vit, 'rule', DEFAULT_RULE)",
        "test_response.py -k follows",
    ),
    (
        "looks at the size of pretraining",
        "pretrained.py",
        "LOOK if pretrained is True else model.patch_embed.img_size",
        "96 if pretrained is True else model.patch_embed.img_size",
        "test_models.py -k larger_pictures",
    ),
    (
        "the worst trial is chosen",
        "experiments/ablation.py",
        "max(trials, key=score)",
        "min(trials, key=score)",
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
        "stage1 + stage2",
        "stage1 + stage1",
        "test_experiments.py -k whole_models",
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
        "torch.minimum",
        "torch.maximum",
        "test_response.py -k clipping",
    ),
    (
        "map with aligned corners",
        "response.py",
        "F.interpolate(weights[:, None], size=to_pair(size, 'size'), mode='bilinear', "
        "align_corners=False)",
        "F.interpolate(weights[:, None], size=to_pair(size, 'size'), mode='bilinear', "
        "align_corners=True)",
        "test_response.py -k places",
    ),
    (
        "edges of the image ignored",
        "response.py",
        "weights if image is None else follow_edges(weights, image)",
        "weights",
        "test_edges.py -k where_the_image_does",
    ),
    (
        "likeness left out",
        "response.py",
        "attended_object(record) * BIRD.likeness(record)",
        "attended_object(record)",
        "test_directions.py -k times_the_likeness",
    ),
    (
        "fitted rule for any ViT",
        "response.py",
        "check_made_for(rule.fitted, vit)",
        "pass",
        "test_directions.py -k another_vit",
    ),
    (
        "corners of a box asked for",
        "experiments/directions.py",
        "dice(p_grid.amax(2), rows)",
        "dice(p_grid.mean(2), rows)",
        "test_directions.py -k half_of_their_boxes",
    ),
    (
        "offset of a window not free",
        "support/edges.py",
        "[ridge, ridge, ridge, 0.0]",
        "[ridge, ridge, ridge, ridge]",
        "test_edges.py -k least_squares",
    ),
    (
        "box off by one",
        "cropper.py",
        "(columns[0], rows[0], columns[-1] + 1, rows[-1] + 1)",
        "(columns[0], rows[0], columns[-1], rows[-1])",
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
        "np.bincount(labels.ravel())[1:].argmax",
        "np.bincount(labels.ravel())[1:].argmin",
        "test_cropper.py -k component",
    ),
    (
        "sides swapped in padding",
        "cropper.py",
        "boxes.new_tensor([width, height])",
        "boxes.new_tensor([height, width])",
        "test_cropper.py -k padding",
    ),
    (
        "no fallback",
        "cropper.py",
        "self._give_up(found, empty)",
        "pass",
        "test_cropper.py -k degenerate",
    ),
    ("crop rounded inwards", "cropper.py", "ceil(x1)", "floor(x1)", "test_numbers.py -k outwards"),
    (
        "ViT in training mode",
        "cropper.py",
        "super().train(mode)\nself.vit.eval()",
        "super().train(mode)",
        "test_cropper.py -k frozen",
    ),
    (
        "otsu's worst cut",
        "cropper.py",
        "(below * (count - below) * (mean_above - mean_below) ** 2).argmax",
        "(below * (count - below) * (mean_above - mean_below) ** 2).argmin",
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
        "support/modes.py",
        "part.training = False",
        "pass",
        "test_two_stage.py -k mode",
    ),
    (
        "width for height",
        "cropper.py",
        "[image.shape[-1], image.shape[-2]]",
        "[image.shape[-2], image.shape[-1]]",
        "test_two_stage.py -k boxes",
    ),
    (
        "ViT sees unscaled colours",
        "cropper.py",
        "(inputs - mean.to(inputs.device)) / std.to(inputs.device)",
        "inputs",
        "test_numbers.py -k colours",
    ),
    (
        "boxes of another cropper",
        "evaluation/boxes.py",
        "[ARITHMETIC, __version__, type(cropper.vit).__name__, heads, "
        "fingerprint(cropper.vit), rule, cropper.tau, cropper.padding, cropper.input_size, "
        "cropper.mean, cropper.std, cropper.presence and astuple(cropper.presence), "
        "str(weight.dtype), weight.device.type, *more]",
        "[ARITHMETIC, __version__, type(cropper.vit).__name__, heads, "
        "fingerprint(cropper.vit), rule, cropper.tau, cropper.input_size, cropper.mean, "
        "cropper.std, cropper.presence and astuple(cropper.presence), str(weight.dtype), "
        "weight.device.type, *more]",
        "test_boxes.py -k another_cropper",
    ),
    (
        "heads of the ViT forgotten",
        "evaluation/boxes.py",
        "getattr(block.attn, 'num_heads', None)",
        "None",
        "test_boxes.py -k another_cropper",
    ),
    (
        "boxes of an image that changed",
        "evaluation/boxes.py",
        "f'{os.path.abspath(path)}|{status.st_mtime_ns}|{status.st_size}'",
        "f'{os.path.abspath(path)}|'",
        "test_boxes.py -k changed_image",
    ),
    (
        "boxes stored but not read",
        "evaluation/boxes.py",
        "self.boxes, self.changed, self.saved_at = {}, False, time.monotonic()\nself._read()",
        "self.boxes, self.changed, self.saved_at = {}, False, time.monotonic()",
        "test_boxes.py -k second_evaluation",
    ),
    (
        "boxes in the order of the store",
        "evaluation/boxes.py",
        "[self.boxes[name] for name in self.names]",
        "[self.boxes[name] for name in sorted(self.boxes)]",
        "test_boxes.py -k found_once",
    ),
    (
        "given boxes of other images",
        "two_stage.py",
        "boxes if found is None else found.boxes",
        "boxes.flip(0) if found is None else found.boxes",
        "test_boxes.py -k given_boxes",
    ),
    (
        "views from files never close",
        "training/loading.py",
        "draw[4] >= self.share",
        "draw[4] >= 0",
        "test_boxes.py -k from_files",
    ),
    (
        "images of any shape",
        "support/shapes.py",
        "any(odd)",
        "False",
        "test_shapes.py",
    ),
    (
        "data not compared",
        "training/runs.py",
        "digest.difference(before, data)",
        "None",
        "test_faults.py -k data_changed",
    ),
    (
        "folder without configuration taken",
        "training/runs.py",
        "(folder / name).exists() or (folder / name).is_symlink()",
        "False",
        "test_faults.py -k taken_over",
    ),
    (
        "lock of the living ignored",
        "support/locks.py",
        "if _is_locked(self.path):\n    self._refuse(seen)",
        "pass",
        "test_faults.py -k one_process",
    ),
    (
        "flipped weights taken",
        "support/cards.py",
        "digest_of(state) != digest",
        "False",
        "test_damaged.py -k checkpoints",
    ),
    (
        "weights that are no numbers",
        "support/cards.py",
        "not bool(torch.isfinite(tensor.sum()))",
        "False",
        "test_faults.py -k are_no_numbers",
    ),
    (
        "rows against their predictions",
        "experiments/results.py",
        "abs(row.value - share) > 1e-06",
        "False",
        "test_faults.py -k against_their_predictions",
    ),
    (
        "notes cut off",
        "evaluation/log.py",
        "line.startswith(START) or START.startswith(line)",
        "True",
        "test_faults.py -k continues_only",
    ),
    (
        "foreign files drawn over",
        "renderer/dataset.py",
        "report.extra + odd",
        "[]",
        "test_faults.py -k render_replaces",
    ),
    (
        "published onto itself",
        "commands/evaluate.py",
        "there == Path(checkpoint).resolve()",
        "False",
        "test_faults.py -k publishes_last",
    ),
    (
        "link replaced",
        "support/files.py",
        "target = Path(os.path.realpath(path))",
        "target = path",
        "test_faults.py -k writers_replace",
    ),
    (
        "nested without bound",
        "support/files.py",
        "_depth(text) > MAX_DEPTH",
        "False",
        "test_faults.py -k nested",
    ),
    (
        "folder taken for a file",
        "support/files.py",
        "target.is_dir()",
        "False",
        "test_refusals.py -k replaced",
    ),
    (
        "fingerprint of the names alone",
        "support/checkpoints.py",
        "digest.update(value.detach().float().cpu().numpy().tobytes())",
        "pass",
        "test_boxes.py -k another_cropper",
    ),
    (
        "precision of the classifier forgotten",
        "two_stage.py",
        "v.to(parameter.dtype)",
        "v",
        "test_refusals.py -k precision",
    ),
    (
        "skipped before, forgotten after",
        "commands/predict.py",
        "self.skipped or before",
        "self.skipped",
        "test_command_line.py -k skipped_before",
    ),
    (
        "batches in the order of the processes",
        "evaluation/split.py",
        "number % self.processes == self.rank",
        "number % self.processes != self.rank",
        "test_command_line.py -k predict_as_one",
    ),
    # pictures, data sets
    ("EXIF ignored", "support/images.py", "turn != 1", "False", "test_images.py -k orientation"),
    (
        "EXIF 6 mirrored",
        "support/images.py",
        "(height - y, x)",
        "(y, x)",
        "test_images.py -k orientation",
    ),
    (
        "box on the wrong side of the crop",
        "datasets/transforms.py",
        "_boxes(box) * scale - margin",
        "_boxes(box) * scale + margin",
        "test_transforms.py -k eval",
    ),
    (
        "mean and deviation swapped",
        "datasets/transforms.py",
        "images * std + mean",
        "images * mean + std",
        "test_transforms.py -k mean_and_std",
    ),
    (
        "labels by order in the file",
        "datasets/cub.py",
        "order[classes_of[key]]",
        "int(classes_of[key]) - 1",
        "test_datasets.py -k test_cub",
    ),
    (
        "classes sorted as text",
        "datasets/cub.py",
        "sorted(names, key=lambda key: (0, int(key), '') if key.isdecimal() else (1, 0, key))",
        "sorted(names) or sorted(names, key=lambda key: (0, int(key), '') if key.isdecimal() "
        "else (1, 0, key))",
        "test_datasets.py -k test_cub",
    ),
    (
        "width taken for x1",
        "datasets/cub.py",
        'read_mapping(path, ["image_id", "x", "y", "width", "height"], problems, _xywh)',
        "read_mapping(\n"
        "    path,\n"
        '    ["image_id", "x", "y", "width", "height"],\n'
        "    problems,\n"
        "    lambda fields: tuple(map(float, fields)),\n"
        ")",
        "test_datasets.py -k test_cub",
    ),
    (
        "splits swapped",
        "datasets/base.py",
        "train == (split == 'train')",
        "train != (split == 'train')",
        "test_datasets.py -k test_cub",
    ),
    # evaluation, training, checkpoints
    (
        "evaluation in training mode",
        "evaluation/split.py",
        "evaluation_mode(model)",
        "nullcontext()",
        "test_numbers.py -k evaluation",
    ),
    (
        "predictions in the wrong order",
        "evaluation/split.py",
        "probabilities[place]",
        "probabilities[np.sort(place)[::-1]]",
        "test_numbers.py -k evaluation",
    ),
    (
        "an image counted twice",
        "evaluation/split.py",
        "not np.array_equal(np.sort(positions), np.arange(len(dataset)))",
        "False",
        "test_numbers.py -k processes",
    ),
    (
        "confusion transposed",
        "evaluation/metrics.py",
        "(self.labels, self.predicted)",
        "(self.predicted, self.labels)",
        "test_metrics.py",
    ),
    (
        "least probable on top",
        "evaluation/metrics.py",
        "-self.probabilities",
        "self.probabilities",
        "test_metrics.py",
    ),
    (
        "labels shuffled",
        "training/loading.py",
        "[index for _, index in places]",
        "sorted((index for _, index in places))",
        "test_numbers.py -k labels",
    ),
    (
        "every process the same images",
        "training/loading.py",
        "self.step_batch(step)[self.rank :: self.processes]",
        "self.step_batch(step)[:: self.processes]",
        "test_loading.py",
    ),
    (
        "the same order every epoch",
        "training/seeding.py",
        "[int(seed), int(epoch)]",
        "[int(seed)]",
        "test_loading.py",
    ),
    (
        "optimiser not resumed",
        "training/trainer.py",
        "self.optimizer.load_state_dict(state['optimizer'])",
        "pass",
        "test_training.py -k stop_at_any_update",
    ),
    (
        "epoch lost on resume",
        "training/trainer.py",
        "plan.first_step = self.step",
        "plan.first_step = 0",
        "test_training.py -k stop_at_any_update",
    ),
    (
        "averaged weights not saved",
        "training/trainer.py",
        "self.ema.module if self.ema else self.bare",
        "self.bare",
        "test_numbers.py -k averaged",
    ),
    (
        "test set chooses the best",
        "training/trainer.py",
        "self._predict(self._weights(), self.data.val_set, autocast=self.accelerator.autocast)",
        "self._predict(self._weights(), self.data.test_set, autocast=self.accelerator.autocast)",
        "test_numbers.py -k averaged",
    ),
    (
        "checkpoints not atomic",
        "support/files.py",
        "target.with_name(f'.{target.name[:100]}{ENDING}')",
        "target",
        "test_checkpoints.py -k disk",
    ),
    (
        "file unnamed on a full disk",
        "support/files.py",
        "failure.filename = str(path)",
        "pass",
        "test_full_disk.py -k grow",
    ),
    (
        "torch's word for a full disk",
        "support/files.py",
        "raise failure from None",
        "raise",
        "test_full_disk.py -k grow",
    ),
    (
        "every process prints",
        "evaluation/split.py",
        "self.rank == 0",
        "True",
        "test_command_line.py -k two_processes",
    ),
    (
        "model on meta or nowhere",
        "benchmark/memory.py",
        "(RuntimeError, NotImplementedError)",
        "KeyError",
        "test_memory.py -k stripped",
    ),
    (
        "difference not looked at",
        "support/checkpoints.py",
        "difference(state, own)",
        "None",
        "test_checkpoints.py -k nothing_is_loaded",
    ),
    (
        "pickle executed",
        "support/checkpoints.py",
        "torch.load(io.BytesIO(path.read_bytes()), map_location='cpu', weights_only=True)",
        "torch.load(io.BytesIO(path.read_bytes()), map_location='cpu', weights_only=False)",
        "test_checkpoints.py -k hostile",
    ),
    (
        "archive member that leaves",
        "datasets/unpack.py",
        "'..' in parts",
        "False",
        "test_archives.py -k leave",
    ),
    (
        "claims of another cropper believed",
        "evaluation/split.py",
        "all(two.get(key) == cropper[key] for key in cropper)",
        "True",
        "test_command_line.py -k publish",
    ),
    # drawing, names
    (
        "drawn box off by one",
        "renderer/scene.py",
        "(float(columns[0]), float(rows[0]), float(columns[-1] + 1), float(rows[-1] + 1))",
        "(float(columns[0]), float(rows[0]), float(columns[-1]), float(rows[-1]))",
        "test_renderer.py -k box_and_parts",
    ),
    (
        "hidden parts visible",
        "renderer/scene.py",
        "inside and int(part_map[int(y), int(x)]) in classes",
        "inside",
        "test_renderer.py -k box_and_parts",
    ),
    ("seed ignored", "renderer/scene.py", "[7, seed]", "[7, 0]", "test_numbers.py -k seed_draws"),
    (
        "classifier not reset",
        "mgff.py",
        "self.classifier = layer.to(weight.device, weight.dtype).train(self.training)",
        "self.unused = layer.to(weight.device, weight.dtype).train(self.training)",
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
    parser.add_argument(
        "--check", action="store_true", help="only see whether every mutant finds its place"
    )
    args = parser.parse_args()
    chosen = [
        m for m in MUTANTS if any(word in m[0] or word in m[1] for word in args.only.split(","))
    ]
    part, parts = map(int, args.part.split("/"))
    chosen = chosen[len(chosen) * (part - 1) // parts : len(chosen) * part // parts]
    if args.list:
        print("\n".join(f"{name}: {file} ({tests})" for name, file, _, _, tests in chosen))
        return 0
    if wrong := check():
        print("Mutants that have lost their place:", *wrong, sep="\n  ")
    if args.check:
        return 1 if wrong else 0
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


def mutate(text, old, new):
    """The module ``text`` with ``new`` in place of the code ``old``, and how often that stands in
    it.
    """
    tree, old, new = (ast.parse(code) for code in (text, old, new))
    is_expression = all(
        len(part.body) == 1 and isinstance(part.body[0], ast.Expr) for part in (old, new)
    )
    wanted = [_shape(statement) for statement in old.body]
    count = 0
    for node in list(ast.walk(tree)):
        for name, value in list(ast.iter_fields(node)):
            parts = value if isinstance(value, list) else [value]
            if is_expression:
                found = [i for i, part in enumerate(parts) if _shape(part) == wanted[0][1][0]]
                for place in found:
                    parts[place] = new.body[0].value
            else:
                shapes = [_shape(part) for part in parts]
                last = len(shapes) - len(wanted)
                found = [i for i in range(last + 1) if shapes[i : i + len(wanted)] == wanted]
                for place in found:
                    parts[place : place + len(wanted)] = new.body
            count += len(found)
            if found and value is not parts:
                setattr(node, name, parts[0])
    return ast.unparse(tree), count


def _shape(node):
    """A node as nested tuples, without places and without whether a name is read or written."""
    if isinstance(node, ast.AST):
        fields = [value for name, value in ast.iter_fields(node) if name != "ctx"]
        return type(node).__name__, [_shape(value) for value in fields]
    return [_shape(value) for value in node] if isinstance(node, list) else node


def check():
    """What is wrong with the list itself: mutants whose code is not in the package, or not once;
    tests that are not there.
    """
    wrong = []
    for name, file, old, new, tests in MUTANTS:
        path = CHECKOUT / "mgff_tutorial" / file
        count = mutate(path.read_text("utf-8"), old, new)[1] if path.is_file() else None
        if count != 1:
            where = "there is no such file" if count is None else f"its code occurs {count} times"
            wrong.append(f"{name} ({file}): {where}")
        if not (CHECKOUT / "tests" / tests.split()[0]).is_file():
            wrong.append(f"{name} ({file}): there is no {tests.split()[0]}")
    return wrong


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
    for path in {copy / "mgff_tutorial" / mutant[1] for mutant in MUTANTS}:
        if path.is_file():  # laid out as the mutants will be, so that this alone breaks no test
            path.write_text(ast.unparse(ast.parse(path.read_text("utf-8"))), encoding="utf-8")


def judge(copy, file, old, new, tests, sound):
    """ "caught", "SURVIVED", or "invalid: reason" for one mutant."""
    path = copy / "mgff_tutorial" / file
    text = path.read_text(encoding="utf-8")
    broken, count = mutate(text, old, new)
    if count != 1:
        return f"invalid: the code occurs {count} times"
    if tests not in sound:
        sound[tests] = run(copy, tests)
    if sound[tests] != 0:
        return f"invalid: the tests end with {sound[tests]} on the unbroken code"
    path.write_text(broken, encoding="utf-8")
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
