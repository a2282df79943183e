"""Mutants of solutions that give the same result on every input that the text admits, and why."""

# ruff: noqa: E501
EQUIVALENT = {
    # dim 1 is the last one; a tensor of one number is as good as a float
    "0.1": {
        "top_k_accuracy:2: probabilities.topk(k, dim=1): dim dropped",
        "top_k_accuracy:4: hits.float().mean().item(): .item() dropped",
    },
    # a slice that starts at 0
    "1.3": {
        "merge_by_slices:5: 0::2: lower bound dropped",
    },
    # a sum does not depend on its order
    "3.1": {
        "windows_that_need_a_mask:9: (height // window, width // window): 0 and 1 swapped",
    },
    # other numbers, but different ones for different windows
    "3.3": {
        "mask_from_coordinates:6: 1: + 1",
        "mask_from_coordinates:6: 1: - 1",
        "mask_from_coordinates:6: rows[:, None] * (width + 1) + columns[None, :]: Add -> Sub",
        "mask_from_coordinates:6: width + 1: left side alone",
    },
    # a set does not depend on its order
    "3.4": {
        "blocks_to_reach:5: (r, c): 0 and 1 swapped",
    },
    # 2 * 2 = 2 + 2; a square has no sign
    "4.2": {
        "block_parameters:4: 2 * 2: Mult -> Add",
        "block_parameters:7: 2 * window - 1: sides swapped",
    },
    # no other name holds "head."
    "4.4": {
        "timm_name:4: ('relative_position_index', 'attn_mask'): 0 and 1 swapped",
        "timm_name:8: name.replace('head.', 'head.fc.') if name.startswith('head.') else name: always the first",
        "timm_name:8: name.startswith('head.'): .startswith() dropped",
    },
    # the text admits sides that are multiples of the grid
    "5.3": {
        "node_box:2: size[0] / grid[0]: Div -> FloorDiv",
        "node_box:2: size[1] / grid[1]: Div -> FloorDiv",
    },
    # Q and K have one shape
    "6.1": {
        "effective_positions:6: q -> k",
    },
    # Q, K and V have one shape; of four axes, -2 is 2
    "6.3": {
        "without_head:13: -2: sign or not dropped",
        "without_head:7: q -> k",
        "without_head:7: q -> v",
    },
    # a mean over both sides does not depend on their order
    "7.1": {
        "channel_weights_of:10: (2, 3): 0 and 1 swapped",
    },
    # numbers above C never divide it, and r divides C
    "7.2": {
        "smallest_reduction:5: 1: + 1",
        "smallest_reduction:5: channels -> budget",
        "smallest_reduction:6: channels // r: FloorDiv -> Div",
    },
    # powers of one matrix commute
    "8.2": {
        "layers_until_all_heard:11: linked @ heard: sides swapped",
    },
    # both inputs have one type
    "8.3": {
        "hard_super_nodes:7: x -> scores",
    },
    # sizes do not depend on the sign; "ij" is the default; booleans add up, too
    "8.4": {
        "scale_adjacency:3: torch.meshgrid(torch.arange(granularities), torch.arange(height), torch.arange(width), indexing='ij'): indexing dropped",
        "scale_adjacency:7: places[:, None] - places[None]: sides swapped",
        "scale_adjacency:8: (steps <= 1).float(): .float() dropped",
    },
    # a mean over both sides does not depend on their order
    "9.2": {
        "share_heard:6: (2, 3): 0 and 1 swapped",
    },
    # the order of the granularities does not matter
    "9.3": {
        "ablation:8: (1, 2, 3): 0 and 1 swapped",
        "ablation:8: (1, 2, 3): 1 and 2 swapped",
    },
    # a backbone may have any widths
    "9.4": {
        "own_backbone:2: (8, 16, 32, 64): 0 and 1 swapped",
        "own_backbone:2: (8, 16, 32, 64): 1 and 2 swapped",
        "own_backbone:2: (8, 16, 32, 64): 2 and 3 swapped",
        "own_backbone:2: 16: + 1",
        "own_backbone:2: 16: - 1",
        "own_backbone:2: 32: + 1",
        "own_backbone:2: 32: - 1",
        "own_backbone:2: 64: + 1",
        "own_backbone:2: 64: - 1",
        "own_backbone:2: 8: + 1",
        "own_backbone:2: 8: - 1",
    },
    # matrices are square; the identity may have the size of any side
    "10.2": {
        "rollout:4: -1: sign or not dropped",
        "rollout:4: 0: - 1",
        "rollout:4: 1: + 1",
    },
    # a vector has one dimension
    "10.3": {
        "object_side:4: 0: - 1",
    },
    # a sum does not depend on its order
    "11.1": {
        "iou:7: ((a[2] - a[0]) * (a[3] - a[1]), (b[2] - b[0]) * (b[3] - b[1])): 0 and 1 swapped",
    },
    # an interval is given by its middle
    "11.2": {
        "square_box:13: place(x0, x1, width): arguments 0 and 1 swapped",
        "square_box:13: place(y0, y1, height): arguments 0 and 1 swapped",
    },
    # neighbours in any order
    "11.3": {
        "component:13: (-1, 0, 1): 0 and 1 swapped",
        "component:13: (-1, 0, 1): 1 and 2 swapped",
        "component:13: c + dc: Add -> Sub",
        "component:13: r + dr: Add -> Sub",
    },
    # a mean over classes orders as their sum; ties of the check are exact
    "12.3": {
        "follow_the_surer:3: torch.special.xlogy(p, p).sum(dim=1, keepdim=True): sum -> mean",
        "follow_the_surer:6: 1e-06: halved",
        "follow_the_surer:6: entropy1 - 1e-06: left side alone",
        "follow_the_surer:6: entropy2 < entropy1 - 1e-06: Lt -> LtE",
    },
    # corners are sorted afterwards
    "13.4": {
        "turn_box:15: (move(x0, y0), move(x1, y1)): 0 and 1 swapped",
    },
    # the cosine is even
    "14.1": {
        "warm_cosine:8: step - warmup: sides swapped",
        "warm_cosine:8: total - warmup: sides swapped",
    },
    # as many labels as images
    "14.2": {
        "accumulate:11: loss.item(): .item() dropped",
        "accumulate:9: images -> labels",
    },
    # which missing position is named is free
    "14.3": {
        "accuracy_of_shares:9: min(missing): call dropped",
        "accuracy_of_shares:9: min: min -> max",
    },
    # NumPy compares a list with its own numbers, too
    "14.4": {
        "validation_split:2: line dropped: labels = np.asarray(labels)",
        "validation_split:8: draw.permutation(members)[:number].tolist(): .tolist() dropped",
    },
    # signs in any order; differences of the check add up exactly
    "15.1": {
        "sign_flip_share:7: np.asarray(differences, dtype=float): dtype dropped",
        "sign_flip_share:8: (1, -1): 0 and 1 swapped",
        "sign_flip_share:9: 1e-12: halved",
        "sign_flip_share:9: abs(d.mean()) - 1e-12: left side alone",
        "sign_flip_share:9: float(np.mean([mean >= abs(d.mean()) - 1e-12 for mean in means])): call dropped",
        "sign_flip_share:9: mean >= abs(d.mean()) - 1e-12: GtE -> Gt",
    },
    # the same recipes; a sum over equally many seeds orders as their mean
    "15.2": {
        "reported_accuracy:7: np.mean(validation[recipe]): mean -> sum",
        "reported_accuracy:7: validation -> test",
        "reported_accuracy:8: float(np.mean(test[chosen])): call dropped",
    },
    # a mean is 0 where a sum is; the diagonal is 0 either way
    "15.3": {
        "within_genus:7: confusion - np.diag(np.diag(confusion)): sides swapped",
        "within_genus:9: errors.sum(): sum -> mean",
        "within_genus:9: float(errors[inside].sum() / errors.sum()): call dropped",
    },
    # no interval is exactly as wide as the difference
    "15.4": {
        "seeds_needed:9: stats.t.ppf(0.975, n - 1) * spread / np.sqrt(n) >= difference: GtE -> Gt",
    },
    # sorted counts repeats of a class alike
    "16.1": {
        "lazy_accuracy:6: list(train_labels): call dropped",
        "lazy_accuracy:6: set(train_labels): call dropped",
    },
    # a tensor of one number is as good as a float
    "16.2": {
        "confident:8: torch.stack(good).min().item(): .item() dropped",
    },
    # absolute differences; nonzero gives sorted pairs
    "16.3": {
        "leaks:16: tiny(train_images)[:, None] - tiny(test_images)[None]: sides swapped",
        "leaks:17: int(a): call dropped",
        "leaks:17: int(b): call dropped",
        "leaks:17: sorted(((int(a), int(b)) for a, b in zip(*np.nonzero(gaps < limit)))): call dropped",
    },
}
