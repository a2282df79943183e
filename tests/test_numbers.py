"""The same input gives the same numbers: again, in another batch, order or precision, mirrored, and
shifted.
"""

import copy

import numpy as np
import pytest
import timm
import torch
from PIL import Image
from training_fakes import Colours, small_config, small_net

from mgff_tutorial import MGFF, MGFFClassifier, TwoStageClassifier, ViTCropper, render
from mgff_tutorial.attention import ChannelAttention, SpatialSelfAttention
from mgff_tutorial.cropper import crop_and_resize
from mgff_tutorial.datasets.transforms import eval_transform
from mgff_tutorial.evaluation.split import TensorImages, predict_split
from mgff_tutorial.graph import GCNHead, SuperNodePool
from mgff_tutorial.response import RULES, response_map, token_weights
from mgff_tutorial.support.errors import InputError
from mgff_tutorial.swin import swin_nano
from mgff_tutorial.training.loading import MemoryImages

torch.set_num_threads(1)


def generator(seed=0):
    return torch.Generator().manual_seed(seed)


def small_vit(mirrored=False):
    """A ViT of 4 x 4 patches with everything random. ``mirrored``: blind to position, patches read
    symmetrically.
    """
    torch.manual_seed(0)
    vit = timm.models.VisionTransformer(
        img_size=32, patch_size=8, embed_dim=32, depth=3, num_heads=4, num_classes=0
    )
    with torch.no_grad():
        for block in vit.blocks:  # as they start, heads hardly differ
            block.attn.qkv.weight.mul_(20)
        if mirrored:
            vit.pos_embed.zero_()
            weight = vit.patch_embed.proj.weight
            weight.copy_(weight + weight.flip(3))
    return vit.eval()


def open_gates(model):
    """Give everything that starts at zero a value, so that MGFF has a say in the logits."""
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if not parameter.any():
                parameter.normal_(0, 0.2, generator=generator(len(name)))
    return model.eval()


def whole_system():
    torch.manual_seed(0)
    classifier = open_gates(MGFFClassifier("swin_nano", num_classes=5, img_size=32))
    return TwoStageClassifier(classifier, ViTCropper(small_vit()))


# ---- again ----


def test_a_seed_gives_the_same_model_and_the_same_answers_bit_for_bit():
    images = torch.randn(3, 3, 40, 50, generator=generator())
    first, second = (whole_system() for _ in range(2))
    for name, value in first.state_dict().items():
        assert torch.equal(value, second.state_dict()[name]), name
    one, two, again = first.predict(images), second.predict(images), first.predict(images)
    for field in ("stage1", "stage2", "merged", "boxes", "response"):
        assert torch.equal(getattr(one, field), getattr(two, field)), field
        assert torch.equal(getattr(one, field), getattr(again, field)), field


def test_gradients_repeat_bit_for_bit():
    images, found = torch.randn(2, 3, 32, 32, generator=generator()), []
    for _ in range(2):
        torch.manual_seed(0)
        model = MGFFClassifier(
            "swin_nano", num_classes=5, img_size=32, drop_rate=0.3, drop_path_rate=0.2
        )
        torch.manual_seed(1)  # the same dropout
        model(images).square().sum().backward()
        found.append([p.grad for p in model.parameters()])
    assert all(torch.equal(a, b) for a, b in zip(*found))


# ---- in another batch, order, kind ----


@pytest.mark.parametrize("batch_size", [1, 3, 13])
def test_evaluation_does_not_depend_on_batch_size_order_or_kind_of_data(batch_size):
    data = Colours(13, transform=eval_transform(16, 20))
    model = small_net().train()  # evaluation switches, and switches back
    expected = predict_split(model, data, "cpu", batch_size=5)
    assert model.training
    got = predict_split(model, data, "cpu", batch_size=batch_size)
    np.testing.assert_allclose(got.probabilities, expected.probabilities, atol=1e-6, rtol=0)
    order = torch.randperm(13, generator=generator()).tolist()
    shuffled = predict_split(model, data.subset(order, data.transform), "cpu", batch_size)
    np.testing.assert_allclose(
        shuffled.probabilities, expected.probabilities[order], atol=1e-6, rtol=0
    )
    assert (
        shuffled.labels.tolist() == [data.labels[i] for i in order]
        and shuffled.correct == expected.correct
    )
    kept = predict_split(model, TensorImages(data), "cpu", batch_size)
    np.testing.assert_allclose(kept.probabilities, expected.probabilities, atol=1e-6, rtol=0)


def test_processes_share_the_work_without_changing_it():
    data, model = Colours(7, transform=eval_transform(16, 20)), small_net()
    expected = predict_split(model, data, "cpu")
    shares = []
    for rank in range(3):  # each process alone hands in its share
        with pytest.raises(RuntimeError, match="exactly once"):
            predict_split(
                model, data, "cpu", 2, 0, rank, 3, gather=lambda mine: shares.extend(mine) or mine
            )
    got = predict_split(model, data, "cpu", 2, 0, 0, 3, gather=lambda mine: shares)
    np.testing.assert_allclose(got.probabilities, expected.probabilities, atol=1e-6, rtol=0)


def test_an_image_does_not_see_the_others_in_its_batch():
    model = whole_system()
    images = torch.randn(4, 3, 32, 32, generator=generator())
    others = torch.cat([images[:1], 100 * torch.randn(3, 3, 32, 32, generator=generator(1))])
    a, b = model.predict(images), model.predict(others)
    for field in ("stage1", "stage2", "merged", "boxes", "response"):
        torch.testing.assert_close(getattr(a, field)[0], getattr(b, field)[0], atol=1e-6, rtol=0)


# ---- in another precision ----


@pytest.mark.parametrize(
    "dtype, tolerance", [(torch.float64, 1e-5), (torch.float16, 0.02), (torch.bfloat16, 0.1)]
)
def test_response_and_probabilities_stay_near_float32(dtype, tolerance):
    """float16 within 0.02 and bfloat16 within 0.1 of the largest value (rule "literal") and of the
    probabilities.
    """
    images, vit = torch.randn(2, 3, 32, 32, generator=generator()), small_vit()
    with torch.no_grad():
        expected = response_map(vit, images, "literal")
        got = response_map(copy.deepcopy(vit).to(dtype), images.to(dtype), "literal")
    assert got.dtype == torch.float32
    torch.testing.assert_close(
        got / expected.max(), expected / expected.max(), atol=tolerance, rtol=0
    )
    torch.manual_seed(0)
    model = open_gates(MGFFClassifier("swin_nano", num_classes=5, img_size=32))
    with torch.no_grad():
        expected, got = (
            model(images).softmax(1),
            model.to(dtype)(images.to(dtype)).float().softmax(1),
        )
        torch.testing.assert_close(got, expected, atol=tolerance, rtol=0)


@pytest.mark.parametrize(
    "module", [SpatialSelfAttention(8, (3, 4), heads=2), ChannelAttention(8, 2)]
)
@pytest.mark.parametrize("dtype, tolerance", [(torch.float16, 0.005), (torch.bfloat16, 0.03)])
def test_attentions_stay_near_float32(module, dtype, tolerance):
    x = torch.randn(2, 8, 3, 4, generator=generator())
    with torch.no_grad():
        expected, got = module(x), copy.deepcopy(module).to(dtype)(x.to(dtype))
    torch.testing.assert_close(got.float(), expected, atol=tolerance, rtol=tolerance)


# ---- symmetries ----


@pytest.mark.parametrize("adjacency", ["learned", "similarity"])
def test_the_head_does_not_care_in_which_order_nodes_come(adjacency):
    """Nodes and adjacency permuted alike: the embedding stays, the assignment is permuted."""
    torch.manual_seed(0)
    head = open_gates(GCNHead(8, 6, 12, 3, adjacency=adjacency, norm_nodes=True)).double()
    nodes, order = (
        torch.randn(2, 12, 8, generator=generator()).double(),
        torch.randperm(12, generator=generator()),
    )
    with torch.no_grad():
        expected = head(nodes)
        if adjacency == "learned":
            head.graph.adjacency.copy_(head.graph.adjacency[order][:, order].clone())
        got = head(nodes[:, order])
    torch.testing.assert_close(got["embedding"], expected["embedding"])
    torch.testing.assert_close(got["super_nodes"], expected["super_nodes"])
    torch.testing.assert_close(got["assignment"], expected["assignment"][:, order])


def test_pooling_by_content_is_permutation_invariant():
    pool, nodes = SuperNodePool(8, 12, 3), torch.randn(2, 12, 8, generator=generator())
    order = torch.randperm(12, generator=generator())
    torch.testing.assert_close(pool(nodes[:, order]), pool(nodes))


def test_channel_attention_is_consistent_over_scales():
    """Each position repeated 2 x 3 times: the same weights. No biases: the logits grow in
    proportion to the map.
    """
    se, x = ChannelAttention(8, 2), torch.randn(2, 8, 3, 4, generator=generator())
    repeated = x.repeat_interleave(2, 2).repeat_interleave(3, 3)
    torch.testing.assert_close(se(repeated), se(x).repeat_interleave(2, 2).repeat_interleave(3, 3))
    torch.testing.assert_close(se(x.flip(3)), se(x).flip(3))
    torch.testing.assert_close(se(x.roll((1, 2), (2, 3))), se(x).roll((1, 2), (2, 3)))
    torch.testing.assert_close(
        se.weights(3 * x).logit(), 3 * se.weights(x).logit(), atol=1e-5, rtol=1e-4
    )


def bird(top, left, size=32, patch=8):
    """Dark ground with one bright, striped patch whose top left corner is the patch (top, left)."""
    image = torch.full((1, 3, size, size), -0.5)
    stripes = torch.linspace(0, 3, patch).expand(patch, patch)
    image[:, :, top * patch : (top + 1) * patch, left * patch : (left + 1) * patch] = (
        stripes + stripes.flip(1) + stripes.T
    )
    return image


@pytest.mark.parametrize("rule", sorted(RULES))
def test_the_cropper_follows_flips_and_shifts_by_whole_patches(rule):
    """A ViT without positions sees a mirrored or shifted image as mirrored or shifted tokens; so
    must map and box.
    """
    vit = small_vit(mirrored=True)
    image = bird(1, 0)
    with torch.no_grad():
        weights = response_map(vit, image, rule)
        assert weights.max() - weights.min() > 1e-4 * weights.abs().max()  # it says something
        torch.testing.assert_close(
            response_map(vit, image.flip(3), rule), weights.flip(3), atol=1e-4, rtol=1e-3
        )
        small = token_weights(vit, image, rule)
        for dy, dx in ((1, 0), (0, 2), (2, 3)):
            moved = token_weights(vit, image.roll((8 * dy, 8 * dx), (2, 3)), rule)
            torch.testing.assert_close(moved, small.roll((dy, dx), (1, 2)), atol=1e-4, rtol=1e-3)


def test_boxes_follow_flips_and_shifts_by_whole_patches():
    """From known weights on: the map's bright patch moves, and the box moves with it, pixel by
    pixel.
    """
    cropper = ViTCropper(small_vit(), tau=1.0, padding=0.05)

    def boxes(top, left):
        weights = torch.full((1, 6, 8), 0.1)
        weights[0, top : top + 2, left : left + 2] = 1.0
        return cropper.locate(weights, (48, 64)).boxes[0], weights

    box, weights = boxes(2, 2)
    for dy, dx in ((1, 0), (0, 1), (1, 2), (-1, -1)):
        moved, _ = boxes(2 + dy, 2 + dx)
        assert moved.tolist() == pytest.approx(
            (box + torch.tensor([dx, dy, dx, dy]) * 8.0).tolist(), abs=1e-4
        )
    left, top, right, bottom = box.tolist()
    mirrored = cropper.locate(weights.flip(2), (48, 64)).boxes[0]
    assert mirrored.tolist() == pytest.approx([64 - right, top, 64 - left, bottom], abs=1e-4)
    upside_down = cropper.locate(weights.flip(1), (48, 64)).boxes[0]
    assert upside_down.tolist() == pytest.approx([left, 48 - bottom, right, 48 - top], abs=1e-4)


# ---- who sees what, and when: found by tests/mutations.py ----


def test_dropout_works_in_training_alone():
    torch.manual_seed(0)
    model = MGFFClassifier(
        "swin_nano", num_classes=5, img_size=32, drop_rate=0.5, drop=0.5, drop_path_rate=0.5
    )
    images = torch.randn(2, 3, 32, 32, generator=generator())
    with torch.no_grad():
        assert torch.equal(model.eval()(images), model(images))
        assert not torch.equal(model.train()(images), model(images))


def test_attention_over_positions_comes_before_attention_over_channels():
    """I = A'V, then the weights of the channels of I (MGFF paper, section 3.2)."""
    torch.manual_seed(0)
    mgff = open_gates(MGFF((2, 4, 6, 6), ((8, 4), (4, 2), (2, 1), (2, 1)), "literal"))
    maps = [
        torch.randn(2, c, *g, generator=generator())
        for c, g in zip((2, 4, 6, 6), ((8, 4), (4, 2), (2, 1), (2, 1)))
    ]
    with torch.no_grad():
        aligned = mgff.align(maps)
        expected = [
            channel(attention(m))
            for m, attention, channel in zip(aligned, mgff.attention, mgff.channel)
        ]
        for got, wanted, m, attention, channel in zip(
            mgff(maps)["maps"], expected, aligned, mgff.attention, mgff.channel
        ):
            torch.testing.assert_close(got, wanted)
            assert not torch.allclose(got, attention(channel(m)), rtol=1e-3)


def test_each_model_gets_colours_normalised_its_own_way():
    seen = {}

    def note(name):
        return lambda module, args: seen.setdefault(name, args[0].clone())

    vit = small_vit()
    vit.pretrained_cfg = vit.default_cfg = {
        "input_size": (3, 32, 32),
        "mean": (0.1, 0.2, 0.3),
        "std": (0.5, 0.25, 1.0),
    }
    model = whole_system()
    model = TwoStageClassifier(
        model.classifier, ViTCropper(vit), mean=(0.4, 0.5, 0.6), std=(0.2, 0.4, 0.8)
    )
    vit.patch_embed.register_forward_pre_hook(note("vit"))
    model.classifier.register_forward_pre_hook(note("classifier"))
    model.predict(Image.new("RGB", (32, 32), (51, 102, 153)))  # 0.2, 0.4, 0.6
    for name, expected in (("vit", (0.2, 0.8, 0.3)), ("classifier", (-1.0, -0.25, 0.0))):
        torch.testing.assert_close(
            seen[name][0, :, 5, 5], torch.tensor(expected), atol=1e-5, rtol=0
        )


def test_averaged_weights_are_what_a_run_saves_and_the_test_split_is_seen_at_the_end_alone(
    tmp_path, monkeypatch
):
    from mgff_tutorial.support.checkpoints import read_checkpoint
    from mgff_tutorial.training import trainer as training

    counts, predict = [], training.predict_split
    monkeypatch.setattr(
        training,
        "predict_split",
        lambda model, data, *a, **k: counts.append(len(data)) or predict(model, data, *a, **k),
    )
    training.train(
        small_config(tmp_path, ema=0.9), Colours(), Colours(13, seed=5), small_net(), progress=False
    )
    # 3 epochs, then the best of them on the test split, once
    assert counts[-1] == 13 and 13 not in counts[:-1] and len(counts) == 4
    saved, state = (
        read_checkpoint(tmp_path / "last.safetensors")[0],
        torch.load(tmp_path / "resume.pt", weights_only=True),
    )
    assert all(torch.equal(saved[key], value) for key, value in state["ema"].items())
    assert not torch.equal(saved["head.weight"], state["model"]["head.weight"])


def test_labels_stay_with_their_images():
    memory = MemoryImages(Colours(9, size=24), 16, 20, scale=(1.0, 1.0), flip=False)
    images, labels = memory.batch([(0, 7), (0, 2), (0, 3), (1, 2)])
    assert labels.tolist() == [1, 2, 0, 2]
    assert images.mean((2, 3)).argmax(1).tolist() == labels.tolist()  # the tint is the class


def test_maps_are_tapped_right_after_the_merging():
    torch.manual_seed(0)
    model, images = swin_nano(img_size=32).eval(), torch.randn(1, 3, 32, 32, generator=generator())
    with torch.no_grad():
        tokens, maps = model.layers[0](model.tokens(images)), model.feature_maps(images)
        for found, stage in zip(maps, model.layers[1:]):
            merged = stage.downsample(tokens)
            assert torch.equal(found, merged.permute(0, 3, 1, 2))
            tokens = stage.run_blocks(merged)
        assert not torch.equal(maps[2], tokens.permute(0, 3, 1, 2))


def test_vectors_and_tables_are_not_decayed():
    model = MGFFClassifier("swin_nano", num_classes=5, img_size=32)
    decay = {
        id(p): group["weight_decay"]
        for group in model.parameter_groups(1e-3, weight_decay=0.1)
        for p in group["params"]
    }
    for name, parameter in model.named_parameters():
        spared = parameter.ndim <= 1 or name.endswith(
            ("relative_position_bias_table", "graph.adjacency")
        )
        assert decay[id(parameter)] == (0.0 if spared else 0.1), name


@pytest.mark.parametrize("height, width", [(1, 1), (1, 40), (24, 24), (37, 1000)])
def test_views_around_an_object_stay_inside_and_on_it(height, width):
    memory = MemoryImages(Colours(2, size=24), 16, 20, close_views=1.0)
    memory.images = [torch.zeros(3, height, width, dtype=torch.uint8)]
    boxes = [
        (0, 0, width, height),
        (width * 0.5, height * 0.25, width * 0.75, height),
        (width - 0.5, 0, width, height),
    ]
    for box in boxes:
        memory.boxes = np.array([box])
        for draw in np.random.default_rng(0).random((50, 9)):
            top, left, high, wide = memory._view(0, draw)
            assert 0 <= top < top + high <= height and 0 <= left < left + wide <= width
            assert (
                left - 1 <= (box[0] + box[2]) / 2 <= left + wide + 1
                and top - 1 <= (box[1] + box[3]) / 2 <= top + high + 1
            )
    memory.close_views = 0.0
    assert memory._view(0, [0, 0.5, 0, 0, 0, 0, 0, 0, 0]) == memory._window(
        (height, width), [0, 0.5, 0, 0]
    )


def test_what_a_seed_draws_changes_with_the_seed():
    drawn = [render(3, seed, size=16).details for seed in range(4)]
    for name in ("scale", "camouflage", "rotation", "centre", "unit"):
        assert len({str(details[name]) for details in drawn}) == 4, name


def test_crops_are_rounded_outwards_to_whole_pixels():
    image = torch.arange(100.0).reshape(1, 10, 10)
    expected = image[:, 2:6, 3:8]
    for box in ((3.0, 2.0, 8.0, 6.0), (3.9, 2.9, 7.1, 5.1), (3.5, 2.5, 7.5, 5.5)):
        assert torch.equal(crop_and_resize(image, box, (4, 5)), expected), box


@pytest.mark.parametrize("granularities", [(0, 1, 2, 3), (0,), (3,)])
@pytest.mark.parametrize("place", range(4))
def test_maps_of_different_batches_are_never_broadcast(granularities, place):
    channels, grids = (2, 4, 6, 6), ((8, 4), (4, 2), (2, 1), (2, 1))
    mgff = MGFF(channels, grids, granularities=granularities)
    maps = [
        torch.zeros(1 if i == place else 3, c, *g) for i, (c, g) in enumerate(zip(channels, grids))
    ]
    with pytest.raises(InputError, match=r"feature map \d must have shape \([13], "):
        mgff(maps)
