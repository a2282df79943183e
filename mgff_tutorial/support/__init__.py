"""What every part of the package stands on; imports nothing above itself.

- for all: `errors` (sentences for a reader, and what a file's content may be), `shapes` (sizes and
  tensors at the doors), `files` and `paths`, `images`, `device`;
- weights: `checkpoints` reads and writes files of them, `cards` knows what such a file may say of
  itself, `state_dicts` whose weights a state dict holds (it opens no file), and `fetch` gets
  published ones: the one module that looks at the network;
- processes: `locks` gives a folder to one of them, `stopping` ends one where nothing is lost,
  `modes` lets threads share a model in evaluation mode;
- `fast`: what is only for speed.

Each is one subject of 400 lines at the most; what one caller alone needs stands with that caller.
"""
