"""Checkpoints that say what they are: weights in safetensors, and a card of JSON values in the
header.

Nothing in such a file can be executed. A ``.pth`` of other projects is read with
``weights_only=True`` alone, a NumPy archive without pickled objects.
"""

import argparse
import hashlib
import io
import json
import os
import pickle
import zipfile
from contextlib import contextmanager

import numpy as np
import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save as safetensors_bytes

from .cards import check_card, check_weights, digest_of
from .errors import CheckpointError, InputError, is_whole, shortened
from .files import as_path, atomic_file, parse_json
from .paths import checkpoints_dir
from .state_dicts import difference, foreign, unwrap, without_prefix

FORMAT = "mgff_tutorial"
FORMAT_VERSION = 1  # raised when older code could no longer read the file correctly


def save_checkpoint(path, model_or_state, metadata, half=False):
    """Write weights and their card to ``path``, atomically: the previous file stays intact until
    the new one is whole.

    Args:
        path: the ``.safetensors`` file.
        model_or_state: a module, or a state dict of tensors.
        metadata: JSON-able values. `models.build_from_checkpoint` needs ``model`` (a name that
            ``create_model`` knows), ``kwargs`` (its options) and ``classes`` (list of names).
            Customary: ``mean``, ``std``, ``img_size``, ``seed``, ``data``, ``command``,
            ``accuracy``, ``correct``, ``count``. Parts that a user's own code built into the model
            are noted as ``parts``.
        half: store floating-point weights as float16 (half the size); they are widened again on
            loading.

    Raises:
        CheckpointError: a value of ``metadata`` is not JSON-able, or the state holds something else
            than tensors.
        OSError: the disk is full or the folder cannot be written; ``path`` is as it was.
    """
    state = (
        model_or_state.state_dict()
        if isinstance(model_or_state, torch.nn.Module)
        else model_or_state
    )
    for name, value in (("model_or_state", state), ("metadata", metadata)):
        if not isinstance(value, dict):
            raise CheckpointError(
                f"{path}: {name} is {type(value).__name__}; accepted: "
                f"{'a dict' if name == 'metadata' else 'a module or a state dict'}."
            )
    for key, value in state.items():
        if not isinstance(value, torch.Tensor):
            raise CheckpointError(
                f"{path}: state entry {key!r} is {type(value).__name__}; accepted: tensors only."
            )
    check_weights(path, state)
    # Clones, because tied weights share memory, which safetensors refuses.
    tensors = {
        key: _stored(value.detach().cpu(), half).clone().contiguous()
        for key, value in state.items()
    }
    own_parts = _parts(model_or_state)
    metadata = {**metadata, "parts": own_parts} if own_parts else metadata
    check_card(path, metadata)
    header = {"format": FORMAT, "version": FORMAT_VERSION, **metadata}
    header["digest"] = digest_of(tensors)
    try:
        header = {str(key): json.dumps(value, allow_nan=False) for key, value in header.items()}
    except (TypeError, ValueError) as error:
        raise CheckpointError(f"{path}: metadata must hold plain JSON values: {error}.") from None
    data = safetensors_bytes(tensors, metadata=header)
    with atomic_file(path) as stream:
        stream.write(data)


def _stored(tensor, half):
    if not half or tensor.dtype not in (torch.float32, torch.float64, torch.bfloat16):
        return tensor
    small = tensor.to(torch.float16)
    return (
        small if torch.isfinite(small).all() else tensor
    )  # a value beyond 65504 stays in full precision


def read_metadata(path):
    """The card of a checkpoint (a dict), read from the header alone; empty for a file of another
    project. An entry that holds nothing (null) is left out: it need not be asked for twice.

    Raises:
        CheckpointError: no such file, not a checkpoint, or written by a newer version of this
            package.
    """
    path = _existing(path)
    if _is_pickle(path):  # a NumPy archive is a zip file as well
        return {}
    with _open_safetensors(path) as file:
        return _checked_metadata(path, file.metadata())


@contextmanager
def embedded(name):
    """The path of a checkpoint that travels with this package; a `CheckpointError` inside says how
    to get it back.
    """
    try:
        yield checkpoints_dir() / f"{name}.safetensors"
    except CheckpointError as error:
        raise CheckpointError(
            f"{error} If the file is missing or older than this package: git checkout -- "
            "data/checkpoints, or install the package again."
        ) from None


def read_checkpoint(path):
    """Read a checkpoint: ``(state, metadata)``, tensors on the CPU in the precision they are stored
    in.

    A ``.pth`` or ``.pt`` file of plain tensors is accepted too, with its metadata empty; of a
    training checkpoint the weights are taken (see `state_dicts.unwrap`). So is a NumPy archive.
    Anything that would need unpickling of other objects is refused unexecuted.

    Raises:
        CheckpointError: missing, corrupt, truncated, unsafe, or written by a newer version.
    """
    path = _existing(path)
    if is_npz(path):
        return check_weights(path, _read_npz(path)), {}
    if _is_pickle(path):
        return check_weights(path, _read_pickle(path)), {}
    with _open_safetensors(path) as file:
        metadata = _checked_metadata(path, file.metadata())
        try:
            state = {key: file.get_tensor(key) for key in file.keys()}
        except (SafetensorError, RuntimeError, OSError) as error:
            raise CheckpointError(
                f"{path}: cannot read the weights ({error}); the file is damaged."
            ) from None
    return check_weights(path, state, metadata.get("digest")), metadata


def load_into(model, path, ignore=()):
    """Load a checkpoint into ``model``; everything is compared first, so a refusal leaves the model
    as it was.

    Args:
        model: a module.
        path: the checkpoint.
        ignore: prefixes of state-dict keys to leave alone on both sides, such as ``("head.",)`` for
            a new head.

    Returns:
        The checkpoint's metadata.

    Raises:
        CheckpointError: names the file and the difference: class count, other keys, other shapes.
    """
    state, metadata = read_checkpoint(path)
    ignore, own = tuple(ignore), model.state_dict()
    state = without_prefix(state, own)
    state = {key: value for key, value in state.items() if not key.startswith(ignore)}
    own = {key: value for key, value in own.items() if not key.startswith(ignore)}
    check_parts(path, model, metadata)
    if difference(state, own):
        classes, expected = metadata.get("classes"), getattr(model, "num_classes", None)
        if classes and expected not in (None, len(classes)) and state.keys() == own.keys():
            raise CheckpointError(
                f"{path}: holds {metadata.get('model')!r} for {len(classes)} classes, this model "
                f"has {expected}; build it with num_classes={len(classes)}."
            )
        name = metadata.get("model")
        raise CheckpointError(foreign(path, state, own, holds=name and repr(name)))
    model.load_state_dict(state, strict=False)
    return metadata


def check_parts(path, model, metadata):
    """Fail if a checkpoint was trained with parts of its author's own that ``model`` lacks."""
    missing = metadata.get("parts", {}).keys() - _parts(model).keys()
    if missing:
        name = min(missing)
        raise CheckpointError(
            f"{path}: was trained with a part of its author's own, {name}="
            f"{metadata['parts'][name]}; pass the same one again ({name}=...)."
        )


def _parts(model):
    """Option -> name, of the parts of a model that are not the package's own (see `mgff.MGFF`)."""
    return {
        name: part
        for module in (model.modules() if isinstance(model, torch.nn.Module) else ())
        for name, part in getattr(module, "foreign_parts", {}).items()
    }


def _existing(path):
    path = as_path(path)
    if not path.is_file():
        what = "is a folder" if path.is_dir() else "no such file"
        raise CheckpointError(f"{path}: {what}; expected a .safetensors checkpoint.")
    if os.path.getsize(path) < 8:
        raise CheckpointError(
            f"{path}: the file is empty or cut off ({os.path.getsize(path)} bytes)."
        )
    return path


def _is_pickle(path):
    with open(path, "rb") as stream:
        start = stream.read(2)
    return start == b"PK" or (
        start[:1] == b"\x80" and start[1] in b"\x02\x03\x04\x05" and path.suffix != ".safetensors"
    )


def is_npz(path):
    """Whether a file is a NumPy archive of arrays."""
    try:
        with zipfile.ZipFile(path) as parts:
            names = parts.namelist()
    except (zipfile.BadZipFile, OSError, ValueError, NotImplementedError):
        return False
    return bool(names) and all(name.endswith(".npy") for name in names)


def _read_npz(path):
    with zipfile.ZipFile(path) as parts:
        size = sum(part.file_size for part in parts.infolist())
    if size > 20 * os.path.getsize(path):  # weights are noise, which shrinks to no less than half
        raise CheckpointError(f"{path}: would unpack to {size} bytes; refused unread.")
    try:
        with np.load(path, allow_pickle=False) as arrays:
            return {name: torch.from_numpy(np.array(arrays[name])) for name in arrays.files}
    except Exception as error:  # damage shows in zip, zlib, headers and NumPy alike
        raise CheckpointError(
            f"{path}: not a readable NumPy archive of numbers ({type(error).__name__}); it is "
            "damaged, or holds Python objects."
        ) from None


def _open_safetensors(path):
    try:
        return safe_open(str(path), framework="pt", device="cpu")
    except (SafetensorError, OSError, ValueError, RuntimeError) as error:
        raise CheckpointError(
            f"{path}: not a readable safetensors file ({error}); it is damaged, cut off, "
            "or of another kind."
        ) from None


def _checked_metadata(path, header):
    header = header or {}
    if header.get("format") != json.dumps(FORMAT):
        # weights of another project: usable with load_into, but nothing is known about them
        return {}
    try:
        metadata = {key: parse_json(value, key) for key, value in header.items()}
    except InputError as error:
        raise CheckpointError(f"{path}: the card in the header is damaged: {error}") from None
    version = metadata.get("version")
    if not is_whole(version, 1, FORMAT_VERSION):
        raise CheckpointError(
            f"{path}: written in format version {shortened(version)}, this package reads up to "
            f"{FORMAT_VERSION}; update mgff-tutorial."
        )
    return check_card(path, {key: value for key, value in metadata.items() if value is not None})


def check_parts_of_zip(path):
    """Raise a `CheckpointError` for a torch file whose parts are not as they were written: torch
    does not compare their checksums; or are compressed: torch never does that, and a few megabytes
    become gigabytes in memory.
    """
    try:
        if not zipfile.is_zipfile(path):
            return
        with zipfile.ZipFile(path) as parts:
            if any(part.compress_type != zipfile.ZIP_STORED for part in parts.infolist()):
                raise CheckpointError(
                    f"{path}: has compressed parts, which torch never writes; refused unread."
                )
            broken = parts.testzip()
    except CheckpointError:
        raise
    except Exception as error:  # damage shows in many places of the library
        raise CheckpointError(f"{path}: is damaged or cut off ({type(error).__name__}).") from None
    if broken is not None:
        raise CheckpointError(f"{path}: is damaged: the part {shortened(broken)} was changed.")


def _read_pickle(path):
    check_parts_of_zip(path)
    try:
        # timm's and the Swin authors' training checkpoints note their arguments in a Namespace
        with torch.serialization.safe_globals([argparse.Namespace]):
            content = torch.load(
                io.BytesIO(path.read_bytes()), map_location="cpu", weights_only=True
            )
    except pickle.UnpicklingError:
        raise CheckpointError(
            f"{path}: holds Python objects other than tensors, which could run code; refused. "
            "Save its state dict with safetensors, or as a plain dict of tensors."
        ) from None
    except (RuntimeError, EOFError, OSError, ValueError, KeyError, zipfile.BadZipFile) as error:
        raise CheckpointError(
            f"{path}: not a readable torch file ({type(error).__name__}); it is damaged or cut off."
        ) from None
    content = unwrap(content)
    if not isinstance(content, dict) or not all(
        isinstance(value, torch.Tensor) for value in content.values()
    ):
        raise CheckpointError(f"{path}: not a state dict; expected names mapped to tensors.")
    return content


def fingerprint(module):
    """A short text that changes whenever a weight of the module does."""
    digest = hashlib.sha256()
    for key, value in module.state_dict().items():
        digest.update(key.encode())
        digest.update(value.detach().float().cpu().numpy().tobytes())
    return digest.hexdigest()[:16]
