"""Values between two processes, as JSON and raw numbers: nothing that is read can run code.

A message is a dictionary of plain values. Tensors, arrays and pictures travel as bytes beside the
JSON text; what is none of the plain kinds is left where it is, and a number stands for it.
"""

import json
import struct
from decimal import Decimal
from fractions import Fraction

import numpy as np
import torch
from PIL import Image

LARGEST = 256 * 2**20  # bytes of one message
_LONGEST = 16 * 2**20  # of its JSON text, which takes many times as much memory when it is read
_DTYPES = {
    str(dtype).removeprefix("torch."): dtype
    for dtype in (
        *(torch.float32, torch.float64, torch.float16, torch.bfloat16),
        *(torch.int64, torch.int32, torch.int16, torch.int8, torch.uint8, torch.bool),
        *(torch.complex64, torch.complex128),
    )
}
_MODES = {"L": 1, "RGB": 3, "RGBA": 4, "F": 4, "I": 4}  # of pictures, and bytes of a pixel
_ITERATORS = (map, filter, zip, enumerate, reversed, type(iter([])), type(x for x in ""))
# what reading a malformed message may raise
MALFORMED = (KeyError, IndexError, TypeError, ValueError, AttributeError, ArithmeticError)
MALFORMED += (RuntimeError, MemoryError)
_MOST = 100_000  # items of an iterator


class Stopped(BaseException):
    """The other process is gone; no ``except Exception`` of a check may swallow this."""


class Nonsense(Stopped):
    """What came is no message of ours."""


class Packer:
    """Turns values into JSON structures and bytes.

    Args:
        export: called with an object of another kind; returns the dictionary that stands for it.
    """

    def __init__(self, export):
        self.blobs, self._export = [], export

    def pack(self, value):
        """``value`` as a JSON structure; its numbers are added to ``blobs``."""
        if value is None or isinstance(value, bool):
            return value
        if type(value) is int:
            # JSON has no limit, but reading very long integers takes forever
            return value if abs(value) < 2**63 else {"t": "int", "v": hex(value)}
        if type(value) in (float, str):
            return value
        kind = type(value)
        if isinstance(value, torch.Tensor):
            return self._tensor(value)
        if isinstance(value, np.ndarray) and value.dtype.kind in "biufcUS":
            data = np.ascontiguousarray(value)
            return self._blob("array", data.tobytes(), dtype=data.dtype.str, shape=value.shape)
        if isinstance(value, np.generic) and value.dtype.kind in "biufcUS":
            return self._blob("number", value.tobytes(), dtype=value.dtype.str)
        if isinstance(value, torch.Size):
            return {"t": "size", "v": list(value)}
        if isinstance(value, torch.dtype):
            return {"t": "dtype", "v": str(value).removeprefix("torch.")}
        if isinstance(value, torch.device):
            return {"t": "device"}
        if value is Ellipsis:
            return {"t": "ellipsis"}
        if kind is range:
            _few(value)
            return {"t": "range", "v": [value.start, value.stop, value.step]}
        if kind in (Fraction, Decimal):
            return self.pack(float(value))
        if kind is complex:
            return {"t": "complex", "v": [value.real, value.imag]}
        if isinstance(value, Image.Image) and value.mode in _MODES:
            return self._blob("image", value.tobytes(), mode=value.mode, size=value.size)
        if kind in (bytes, bytearray):
            return self._blob(kind.__name__, bytes(value))
        if isinstance(value, str | int | float):  # subclasses, such as those of enum
            base = next(k for k in (str, int, float) if isinstance(value, k))
            return self.pack(base(value))
        for base in (tuple, list, set, frozenset):
            if isinstance(value, base):
                return {"t": base.__name__, "v": [self.pack(v) for v in value]}
        if isinstance(value, dict):
            return {"t": "dict", "v": [[self.pack(k), self.pack(v)] for k, v in value.items()]}
        if isinstance(value, Iterated):
            return {"t": "iterator", "v": [self.pack(v) for v in value.items]}
        return {"t": "object", **self._export(value, self)}

    def _tensor(self, tensor):
        name = str(tensor.dtype).removeprefix("torch.")
        if tensor.layout != torch.strided:
            raise TypeError("a sparse tensor can't be handed over; to_dense() makes one that can")
        if name not in _DTYPES or tensor.device.type == "meta":
            raise TypeError(f"a tensor of type {name} on {tensor.device} can't be handed over")
        data = tensor.detach().cpu().resolve_conj().resolve_neg().contiguous()
        raw = data.flatten().view(torch.uint8) if data.numel() else torch.empty(0).byte()
        return self._blob(
            "tensor",
            raw.numpy().tobytes(),
            dtype=name,
            shape=list(tensor.shape),
            grad=tensor.requires_grad,
            parameter=isinstance(tensor, torch.nn.Parameter),
        )

    def _blob(self, kind, data, **fields):
        self.blobs.append(data)
        return {"t": kind, "blob": len(self.blobs) - 1, **fields}


class Iterated:
    """What an iterator gave: it can be gone through, but is no list."""

    def __init__(self, items):
        self.items = items

    def __iter__(self):
        return iter(self.items)

    def __repr__(self):
        return "an iterator"


def exhausted(value):
    """An iterator as `Iterated` (its first items, should it be endless); anything else as it is."""
    if isinstance(value, _ITERATORS):
        return Iterated([item for item, _ in zip(value, range(_MOST))])
    return value


class Unpacker:
    """Turns JSON structures and bytes back into values.

    Args:
        adopt: called with the dictionary that stands for an object of another kind.

    Attributes:
        tensors: those that required gradients, in the order in which they were packed.
    """

    def __init__(self, blobs, adopt):
        self._blobs, self._adopt, self.tensors = blobs, adopt, []

    def unpack(self, item):
        """The value; raises `Nonsense` if ``item`` is none of ours."""
        if not isinstance(item, dict):
            if isinstance(item, list):
                raise Nonsense("a bare list")
            return item
        try:
            return self._unpack(item)
        except MALFORMED as error:
            raise Nonsense(f"{type(error).__name__}: {error}") from None

    def _unpack(self, item):
        kind = item["t"]
        if kind == "object":
            return self._adopt(item, self)
        if "blob" in item:
            return self._read(kind, self._blobs[item["blob"]], item)
        if kind in ("tuple", "list", "set", "frozenset"):
            make = {"tuple": tuple, "list": list, "set": set, "frozenset": frozenset}[kind]
            return make(self.unpack(v) for v in item["v"])
        if kind == "dict":
            return {self.unpack(k): self.unpack(v) for k, v in item["v"]}
        if kind == "iterator":
            return Iterated([self.unpack(v) for v in item["v"]])
        if kind == "int":
            return int(item["v"], 16)
        if kind == "complex":
            return complex(*item["v"])
        if kind == "size":
            return torch.Size(item["v"])
        if kind == "range":
            return _few(range(*item["v"]))
        if kind == "dtype":
            return _DTYPES[item["v"]]
        return {"device": torch.device("cpu"), "ellipsis": ...}[kind]

    def _read(self, kind, data, item):
        if kind == "tensor":
            dtype, shape = _DTYPES[item["dtype"]], item["shape"]
            flat = torch.frombuffer(bytearray(data), dtype=dtype) if data else torch.empty(0)
            tensor = flat.to(dtype).reshape(shape)
            if item["grad"]:
                tensor.requires_grad_()
                self.tensors.append(tensor)
            return tensor
        if kind == "array":
            dtype = np.dtype(item["dtype"])
            return np.frombuffer(bytearray(data), _harmless(dtype)).reshape(item["shape"])
        if kind == "number":
            return np.frombuffer(data, _harmless(np.dtype(item["dtype"])))[0]
        if kind == "image":
            width, height = map(int, item["size"])
            if len(data) != width * height * _MODES[item["mode"]]:  # before memory is taken
                raise Nonsense("a picture of another size")
            return Image.frombytes(item["mode"], (width, height), data)
        return {"bytes": bytes, "bytearray": bytearray}[kind](data)


def _few(numbers):
    """A range takes no memory, the list that a check would make of it does."""
    if numbers[_MOST:]:
        raise ValueError(f"more than {_MOST} numbers of a range can't be handed over")
    return numbers


def _harmless(dtype):
    if dtype.kind not in "biufcUS":
        raise Nonsense(f"an array of {dtype}")
    return dtype


def send(stream, message, blobs):
    """Write one message: the JSON text's length, the lengths of what follows it, and all of it."""
    text = json.dumps({"message": message, "sizes": [len(b) for b in blobs]}).encode()
    for size, most in ((len(text), _LONGEST), (sum(map(len, blobs)), LARGEST)):
        if size > most:
            raise ValueError(f"more than {most // 2**20} MB can't be handed over")
    stream.write(struct.pack("<Q", len(text)) + text)
    for blob in blobs:
        stream.write(blob)
    stream.flush()


def receive(stream):
    """(message, blobs); raises `EOFError` at the end, `Nonsense` for anything else than `send`."""
    (length,) = struct.unpack("<Q", _exactly(stream, 8))
    if length > _LONGEST:
        raise Nonsense(f"a message of {length} bytes")
    try:
        frame = json.loads(_exactly(stream, length))
        message, sizes = frame["message"], frame["sizes"]
        kind = message["kind"]
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        raise Nonsense(f"{type(error).__name__}") from None
    whole = all(type(size) is int and size >= 0 for size in sizes)
    if not isinstance(kind, str) or not whole or sum(sizes) > LARGEST:
        raise Nonsense("a frame of another form")
    return message, [_exactly(stream, size) for size in sizes]


def _exactly(stream, count):
    data = stream.read(count)
    if len(data) < count:
        raise EOFError
    return data
