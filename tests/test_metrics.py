"""Accuracy and its relatives, and evaluation that counts each image once."""

import csv

import numpy as np
import pytest
import torch
from training_fakes import Colours, small_net

from mgff_tutorial.datasets.transforms import eval_transform
from mgff_tutorial.evaluation.metrics import Predictions
from mgff_tutorial.evaluation.split import check_classes, collect, predict_split
from mgff_tutorial.support.errors import InputError


def small():
    probabilities = [[0.6, 0.3, 0.1], [0.2, 0.5, 0.3], [0.1, 0.2, 0.7], [0.5, 0.4, 0.1]]
    return Predictions(probabilities, [0, 1, 0, 1], ["wren", "robin", "tit"])


def test_numbers_by_hand():
    found = small()
    assert (found.correct, found.count, found.accuracy) == (2, 4, 0.5)
    assert found.predicted.tolist() == [0, 1, 2, 0] and found.top(2) == 0.75
    assert found.confusion().tolist() == [[1, 0, 1], [1, 1, 0], [0, 0, 0]]
    assert found.class_accuracy()[:2].tolist() == [0.5, 0.5] and np.isnan(found.class_accuracy()[2])
    assert found.loss == pytest.approx(-np.log([0.6, 0.5, 0.1, 0.4]).mean(), abs=1e-6)
    assert found.summary() == {"accuracy": 0.5, "correct": 2, "count": 4}


def test_csv_holds_every_image_even_with_odd_names(tmp_path):
    small().write_csv(tmp_path / "p.csv", names=["a,b", 'c"d', "e\nf", "g"])
    rows = list(csv.DictReader(open(tmp_path / "p.csv", newline="")))
    assert [row["image"] for row in rows] == ["a,b", 'c"d', "e\nf", "g"]
    assert [row["right"] for row in rows] == ["1", "1", "0", "0"] and rows[2]["predicted"] == "tit"


def test_shapes_must_fit():
    with pytest.raises(InputError, match=r"shape \(2, 3\).*got \(2, 2\)"):
        Predictions(np.zeros((2, 2)), [0, 1], ["a", "b", "c"])


@pytest.mark.parametrize("processes", [1, 2, 3, 5])
def test_any_number_of_processes_counts_each_image_once(processes):
    data, model = Colours(11, transform=eval_transform(16, 20)), small_net().train()
    shares = []
    for rank in range(processes):

        def keep(mine):
            shares.extend(mine)
            return [(np.arange(11), np.full((11, 3), 1 / 3, dtype=np.float32))]

        predict_split(
            model, data, "cpu", batch_size=4, rank=rank, processes=max(processes, 2), gather=keep
        )
    if processes == 1:
        with pytest.raises(RuntimeError, match="exactly once"):
            collect(shares, data)
        return
    assert sum(len(positions) for positions, _ in shares) == 11
    together, alone = collect(shares, data), predict_split(model, data, "cpu", batch_size=3)
    assert np.abs(together.probabilities - alone.probabilities).max() < 1e-6
    assert model.training  # left as it was found


def test_an_image_counted_twice_is_an_error():
    share = (np.array([0, 1, 1]), np.zeros((3, 3), dtype=np.float32))
    with pytest.raises(RuntimeError, match=r"3 predictions \(2 of them different\) for 3 images"):
        collect([share], Colours(3))


def test_class_counts_and_names_must_agree():
    with pytest.raises(InputError, match="tells 5 classes apart, the data set has 3"):
        predict_split(small_net(num_classes=5), Colours(4, transform=eval_transform(16, 20)), "cpu")
    with pytest.raises(InputError, match="class 1 is 'b', the data set's is 'c'"):
        check_classes(["a", "b"], ["a", "c"])
    with pytest.raises(InputError, match="2 classes apart, the data set has 1"):
        check_classes(["a", "b"], ["a"])
    check_classes(("a", "b"), ["a", "b"])


def test_bad_batches_do_not_leave_the_model_in_evaluation_mode():
    model = small_net().train()
    with pytest.raises(RuntimeError):
        predict_split(model, [(torch.zeros(1), 0)], "cpu")
    assert model.training
