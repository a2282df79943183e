"""Published weights without a network: noticed at once, said in one sentence."""

import time

import pytest

from mgff_tutorial.support import fetch
from mgff_tutorial.support.errors import CheckpointError

constants = pytest.importorskip("huggingface_hub").constants


def test_without_a_network_the_cache_alone_is_asked(monkeypatch, tmp_path):
    import timm

    monkeypatch.setattr(constants, "ENDPOINT", "http://127.0.0.1:9")  # nobody listens there
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path))
    before, start = constants.HF_HUB_OFFLINE, time.monotonic()
    with pytest.raises(OSError), fetch.published_weights():
        assert constants.HF_HUB_OFFLINE
        timm.create_model("resnet10t", pretrained=True)
    assert time.monotonic() - start < 10 and before == constants.HF_HUB_OFFLINE


def test_with_a_network_nothing_is_changed(monkeypatch):
    monkeypatch.setattr(fetch, "_answers", lambda address: True)
    before = constants.HF_HUB_OFFLINE
    with fetch.published_weights():
        assert before == constants.HF_HUB_OFFLINE


def test_the_sentence_says_what_to_download_where():
    error = fetch.no_weights("vit_small_patch14_dinov2", OSError("no route\nsecond line"))
    assert isinstance(error, CheckpointError) and "second line" not in str(error)
    assert "timm/vit_small_patch14_dinov2.lvd142m/resolve/main/model.safetensors" in str(error)
    assert "--cropper FILE" in str(error)
    assert "or give a path" in str(fetch.no_weights("no_such_model", OSError("gone")))
