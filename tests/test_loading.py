"""Batches: every image once an epoch, however the work is cut up; augmentation depends on the image
alone.
"""

from types import SimpleNamespace

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image
from training_fakes import Colours

from mgff_tutorial.datasets import ImageFolderDataset
from mgff_tutorial.evaluation.boxes import find_boxes
from mgff_tutorial.support.errors import InputError
from mgff_tutorial.training import loading
from mgff_tutorial.training.loading import BatchPlan, MemoryImages, jitter_colours
from mgff_tutorial.training.seeding import fixed_randomness, mixed_seed, uniforms


@settings(max_examples=60, deadline=None)
@given(
    size=st.integers(1, 40),
    share=st.integers(1, 8),
    processes=st.integers(1, 3),
    micro=st.integers(1, 9),
    first=st.integers(0, 6),
)
def test_processes_and_passes_share_each_update_without_gap_or_overlap(
    size, share, processes, micro, first
):
    if size < processes:
        return
    plans = [
        BatchPlan(size, share * processes, 2, 5, micro, rank, processes)
        for rank in range(processes)
    ]
    steps, passes = plans[0].total_steps, plans[0].passes
    for plan in plans:
        plan.first_step = min(first, steps)
    served = [list(plan) for plan in plans]
    assert all(len(lists) == len(plan) for lists, plan in zip(served, plans))
    for number, step in enumerate(range(min(first, steps), steps)):
        union = [
            place
            for lists in served
            for batch in lists[number * passes : (number + 1) * passes]
            for place in batch
        ]
        assert sorted(union) == sorted(plans[0].step_batch(step))
    epoch = [
        place for step in range(plans[0].steps_per_epoch) for place in plans[0].step_batch(step)
    ]
    assert len(set(epoch)) == len(epoch) == size - size % plans[0].batch_size


def test_order_changes_with_epoch_and_seed():
    plan = BatchPlan(50, 50, 2, seed=0)
    first, second = ([index for _, index in plan.step_batch(step)] for step in range(2))
    assert sorted(first) == sorted(second) == list(range(50)) and first != second
    assert first != [index for _, index in BatchPlan(50, 50, 2, seed=1).step_batch(0)]


@pytest.mark.parametrize(
    "size, batch, processes, words",
    [(1, 2, 2, "has 1 images; at least 2"), (9, 3, 2, "multiple of the 2")],
)
def test_plans_that_cannot_be_shared(size, batch, processes, words):
    with pytest.raises(InputError, match=words):
        BatchPlan(size, batch, 1, 0, processes=processes)


def images(**changes):
    return MemoryImages(
        Colours(9, size=24), **{**dict(img_size=16, resize=20, jitter=0.2, seed=3), **changes}
    )


def test_a_view_depends_on_seed_epoch_and_image_alone():
    alone, together = images().batch([(2, 4)])[0], images().batch([(2, 1), (2, 4), (3, 4)])[0]
    assert torch.allclose(alone[0], together[1], atol=1e-6)
    assert not torch.allclose(together[1], together[2], atol=1e-2)  # another epoch
    assert not torch.allclose(alone, images(seed=4).batch([(2, 4)])[0], atol=1e-2)


def test_without_augmentation_a_view_is_the_resized_image():
    plain = images(scale=(1.0, 1.0), flip=False, jitter=0.0, img_size=24, resize=24)
    pixels = np.asarray(Colours(9, size=24).image(4))
    assert plain._window((24, 24), [0, 0.5, 0, 0]) == (0, 0, 24, 24)
    plain._window = lambda shape, draw: (0, 0, 24, 24)  # other draws stretch it a little
    view, label = plain.batch([(0, 4)])
    assert (
        torch.allclose(view[0], torch.from_numpy(pixels).permute(2, 0, 1) / 127.5 - 1, atol=1e-5)
        and label.item() == 1
    )


def test_windows_stay_inside_and_keep_the_share_of_the_area():
    cut = images(scale=(0.25, 0.5))
    for index in range(300):
        top, left, high, wide = cut._window((200, 300), uniforms(8, 0, 0, index))
        assert 0 <= top and top + high <= 200 and 0 <= left and left + wide <= 300
        assert 0.24 < high * wide / 60000 < 0.51
    top, left, high, wide = images(crop="random", img_size=384, resize=512)._window(
        (512, 512), uniforms(8, 1)
    )
    assert high == wide == 384


def test_close_views_are_cut_around_the_box_that_the_cropper_finds():
    class Pointer:
        def find(self, images):
            assert all(float(image.max()) == 1 for image in images)
            return SimpleNamespace(
                boxes=torch.tensor([[100.0, 25.0, 150.0, 50.0]]).expand(len(images), 4)
            )

    cut = images(close_views=1.0)
    cut.images = [torch.full((3, 100, 200), 255, dtype=torch.uint8) for _ in cut.images]
    cut.boxes = find_boxes(Colours(9), Pointer(), cut.images)
    assert cut.boxes[5].tolist() == [100.0, 25.0, 150.0, 50.0]
    for number in range(200):
        top, left, high, wide = cut._view(5, uniforms(9, 0, 0, number))
        assert 0.85 * 25 <= high <= 1.45 * 25 and 0.85 * 50 <= wide <= 1.45 * 50
        assert abs(top + high / 2 - 37.5) <= 4 and abs(left + wide / 2 - 125) <= 7
    half = images(close_views=0.5)
    half.images, half.boxes = cut.images, cut.boxes
    narrow = sum(half._view(5, uniforms(9, 0, 0, number))[3] <= 72 for number in range(200))
    assert 60 < narrow < 140


def test_half_of_the_views_are_flipped():
    cut = images(scale=(1.0, 1.0), jitter=0.0)
    cut._window = lambda shape, draw: (0, 0, *shape)
    straight = images(scale=(1.0, 1.0), jitter=0.0, flip=False)
    straight._window = cut._window
    places = [(epoch, 0) for epoch in range(100)]
    flipped, plain = cut.batch(places)[0], straight.batch(places)[0]
    same = (flipped == plain).flatten(1).all(1)
    assert 30 < same.sum() < 70
    assert torch.equal(flipped[~same], plain[~same].flip(3))


def test_jitter_of_factor_one_changes_nothing_and_zero_saturation_is_grey():
    pictures = torch.rand(2, 3, 5, 5, generator=torch.Generator().manual_seed(0))
    assert torch.allclose(jitter_colours(pictures, torch.ones(2, 3)), pictures, atol=1e-6)
    grey = jitter_colours(pictures, torch.tensor([[1.0, 1.0, 0.0]] * 2))
    assert torch.allclose(grey[:, 0], grey[:, 2], atol=1e-6)
    assert torch.allclose(
        jitter_colours(pictures, torch.tensor([[0.5, 1.0, 1.0]] * 2)), pictures * 0.5, atol=1e-6
    )


def test_memory_has_a_limit_that_is_known_from_the_headers(tmp_path, monkeypatch):
    for name in ("robin", "wren"):
        (tmp_path / name).mkdir()
        for i in range(4):
            Image.new("RGB", (1600, 1200)).save(tmp_path / name / f"{i}.jpg")
    birds = ImageFolderDataset(tmp_path)
    loading.check_memory(birds)
    monkeypatch.setattr(loading, "MEMORY_LIMIT", 6 * 3 * 1600 * 1200 - 1)
    refusal = "6 training images would need .*--set in_memory=false"
    with pytest.raises(InputError, match=refusal):
        loading.check_memory(birds)
    birds.least = 600  # they are decoded at half their side
    loading.check_memory(birds)


def test_fixed_randomness_leaves_no_trace():
    torch.manual_seed(1)
    before = torch.get_rng_state()
    with fixed_randomness(5):
        one = torch.rand(2), np.random.rand()
    with fixed_randomness(5):
        two = torch.rand(2), np.random.rand()
    assert (
        torch.equal(one[0], two[0])
        and one[1] == two[1]
        and torch.equal(before, torch.get_rng_state())
    )
    assert len({mixed_seed(0, epoch, index) for epoch in range(20) for index in range(50)}) == 1000
