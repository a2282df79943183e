"""Published weights: fetched with a short look at whether the network is there, and where to get
them by hand.
"""

import contextlib
import urllib.error
import urllib.request

import timm
from huggingface_hub import constants, hf_hub_url

from .errors import CheckpointError

SECONDS = 4  # that the hub may take for an answer before its cache is all that is asked


@contextlib.contextmanager
def published_weights():
    """Inside, the Hugging Face libraries fetch weights; without a network they look into their
    cache alone and fail at once, instead of trying for a minute.
    """
    before = constants.HF_HUB_OFFLINE
    constants.HF_HUB_OFFLINE = before or not _answers(constants.ENDPOINT)
    try:
        yield
    finally:
        constants.HF_HUB_OFFLINE = before


def _answers(address):
    """Whether a server answers, whatever it says; proxies of the environment are used."""
    request = urllib.request.Request(address, method="HEAD")
    try:
        urllib.request.urlopen(request, timeout=SECONDS).close()
    except urllib.error.HTTPError:
        return True
    except (OSError, ValueError):
        return False
    return True


def no_weights(name, error):
    """A `CheckpointError` for published weights that could not be fetched: no network, or no such
    file there.
    """
    reason = f"{type(error).__name__}: {(str(error).splitlines() or [''])[0]}"
    if type(error).__name__ in ("LocalEntryNotFoundError", "OfflineModeIsEnabled"):
        reason = "no network, and none were kept from before"
    address = published_file(name)
    download = f"download {address} elsewhere and give its path" if address else "give a path"
    return CheckpointError(
        f"Pretrained weights of {name!r} could not be had ({reason}); connect to the network "
        f"once, or {download} (--pretrained FILE; of a ViT that points: --cropper FILE)."
    )


def published_file(name):
    """Address of the weights of a timm model, or None if timm knows none."""
    config = timm.get_pretrained_cfg(name, allow_unregistered=True)
    hub = config.hf_hub_id if config else None
    if not hub:
        return None
    repository = f"{hub}{config.architecture}.{config.tag}" if hub.endswith("/") else hub
    return hf_hub_url(repository, config.hf_hub_filename or "model.safetensors")
