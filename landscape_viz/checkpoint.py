"""Checkpoints: files of tensors that torch reads with weights_only=True, with a SHA-256 of their content, checked on load.

Our files are {'state_dict': ..., 'training': ..., 'format': ..., 'sha256': ...}, which published scripts can read too; what
`save_state` writes is a bare state_dict, with its SHA-256 in a JSON file beside it. Files by others, a bare state_dict or one
under a usual name ('model_state_dict', 'net', 'model' ...) beside plain values, are read with a warning: nothing tells whether
they are whole.
"""

from __future__ import annotations

import argparse
import contextlib
import hashlib
import io
import json
import os
import pathlib
import re
import warnings
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch

from multifractal.base import checks, files
from multifractal.base.types import PathLike

FORMAT = "landscape_viz checkpoint 1"
# where the weights are in the files of others, in this order
_LAYOUTS = (
    "state_dict",
    "model_state_dict",
    "model_state",
    "model",
    "net",
    "network",
    "module",
    "weights",
    "params",
    "params_ema",
    "state_dict_ema",
    "ema",
    "teacher",
    "generator",
)
_PLAIN = [
    argparse.Namespace,
    pathlib.PosixPath,
    pathlib.PurePosixPath,
    np.dtype,
    np.ndarray,
    np._core.multiarray.scalar,  # type: ignore[attr-defined]
    np._core.multiarray._reconstruct,  # type: ignore[attr-defined]
    *(
        type(np.dtype(kind))
        for kind in (
            "f2",
            "f4",
            "f8",
            "i1",
            "i2",
            "i4",
            "i8",
            "u1",
            "u2",
            "u4",
            "u8",
            "?",
            "S1",
            "U1",
        )
    ),
]


@dataclass(frozen=True, repr=False, eq=False)
class Checkpoint:
    """Content of a checkpoint file.

    Attributes
    ----------
    state_dict : dict of str to Tensor
        Parameters and buffers, on the CPU.
    training : dict
        Optimizer state, epoch, history and settings of `training.train`; empty for files by others.
    verified : bool
        Whether the file carried a SHA-256 that its content matches; always so for our own files.
    """

    state_dict: dict
    training: dict = field(default_factory=dict)
    verified: bool = True

    def __repr__(self):
        """Say how many tensors, which epoch if known, and whether verified."""
        epoch = f", epoch {self.training['epoch']}" if "epoch" in self.training else ""
        return f"Checkpoint({len(self.state_dict)} tensors{epoch}, {'verified' if self.verified else 'unverified'})"


def save(
    path: PathLike,
    state_dict: Mapping[str, torch.Tensor],
    training: dict[str, Any] | None = None,
    *,
    overwrite: bool = False,
) -> None:
    """Write a state_dict, and what training needs to be resumed, to one file: atomic, tensors and plain values only.

    Parameters
    ----------
    path : path
        File to write; on an error it is left as it was.
    state_dict : dict of str to Tensor
        The network's `state_dict()`.
    training : dict, optional
        Nested dicts, lists, tensors, numbers, strings and None.
    overwrite : bool
        Replace an existing file.

    Raises
    ------
    FileExistsError
        When `path` exists and `overwrite` is False.
    OSError
        When the disk is full.
    """
    files.refuse_existing(path, overwrite)
    content = {"format": FORMAT, "state_dict": dict(state_dict), "training": training or {}}
    buffer = io.BytesIO()  # torch hides a full disk in an error of its own; a plain write does not
    torch.save({**content, "sha256": content_sha256(content)}, buffer)
    with files.atomic_write(path, overwrite=overwrite) as file:
        file.write(buffer.getbuffer())


def save_state(
    path: PathLike,
    state_dict: Mapping[str, torch.Tensor],
    training: dict[str, Any] | None = None,
    *,
    overwrite: bool = False,
) -> None:
    """Write a bare state_dict, which `model.load_state_dict(torch.load(path))` reads, and what belongs to it beside it.

    Parameters
    ----------
    path : path
        File to write; the other has the same name and ends in .json.
    state_dict : dict of str to Tensor
    training : dict, optional
        Plain values; the JSON file holds them and the SHA-256 of the tensors, which `load` checks.
    overwrite : bool
        Replace existing files.
    """
    beside = pathlib.Path(path).with_suffix(".json")
    for file in (path, beside):
        files.refuse_existing(file, overwrite)
    state = dict(state_dict)
    record = {"training": training or {}, "sha256": content_sha256(state)}
    buffer = io.BytesIO()
    torch.save(state, buffer)
    for target, content in (
        (beside, json.dumps(record, indent=1).encode()),
        (path, buffer.getvalue()),
    ):
        with files.atomic_write(target, overwrite=overwrite) as file:
            file.write(content)


def load(path: PathLike) -> Checkpoint:
    """Read a checkpoint, ours or another's, executing nothing of what it holds.

    Parameters
    ----------
    path : path-like

    Returns
    -------
    Checkpoint
        With `verified` False, and a warning, when the file carries no SHA-256 of ours.

    Raises
    ------
    FileNotFoundError
        When there is no such file.
    DamagedFileError
        When the file is damaged, holds anything but tensors and plain values (a hostile pickle for one), or no state_dict.
    """
    name = os.fspath(checks.path("path", path))
    try:
        with open(path, "rb") as file:
            content = _read(file)
        ours = isinstance(content, dict) and ("sha256" in content or "format" in content)
        good = not ours or content.pop("sha256") == content_sha256(content)
    except (FileNotFoundError, IsADirectoryError, PermissionError):
        raise
    except Exception as error:  # parsers raise errors of any kind on damaged bytes
        reason = _printable((str(error).strip().splitlines() or [type(error).__name__])[0])
        raise files.DamagedFileError(
            f"{name!r} cannot be read as a file of tensors ({reason}); nothing in it was executed; restore it from a copy, "
            "or save the network's state_dict() with torch.save"
        ) from error
    if not good or (ours and content["format"] != FORMAT):
        raise files.DamagedFileError(
            f"{name!r} does not match the SHA-256 it carries, or is of another version; restore it "
            "from a copy, or delete it and train again"
        )
    if ours:
        return Checkpoint(content["state_dict"], content["training"])
    record = _beside(path)
    if record is not None:
        if record.get("sha256") != content_sha256(content):
            raise files.DamagedFileError(
                f"{name!r} does not match the SHA-256 beside it; restore it from a copy, or delete both and train again"
            )
        return Checkpoint(content, record["training"])
    warnings.warn(
        f"{name!r} carries no SHA-256 of this package; it is read unverified", stacklevel=2
    )
    return Checkpoint(_foreign_state(name, content), verified=False)


def content_sha256(value: Any) -> str:
    """Return the SHA-256, in hexadecimal, of a `value` of nested dicts, lists, tensors, numbers, strings and None."""
    total = hashlib.sha256()
    _absorb(total, value)
    return total.hexdigest()


def _read(file):
    """Return the tensors and plain values of a file; numpy's numbers and argparse's namespaces, plain too, are let in."""
    with _let_in(_PLAIN):
        return torch.load(file, map_location="cpu", weights_only=True)


@contextlib.contextmanager
def _let_in(classes):
    """Do as `torch.serialization.safe_globals`, which torch 2.4 lacks."""
    before = torch.serialization.get_safe_globals()
    torch.serialization.add_safe_globals(classes)
    try:
        yield
    finally:
        torch.serialization.clear_safe_globals()
        torch.serialization.add_safe_globals(before)


def _printable(text):
    """Return text without terminal codes."""
    text = re.sub(r"\x1b\[[0-9;]*[A-Za-z]", "", text)
    return "".join(c for c in text if c.isprintable())


def _beside(path):
    """Return what `save_state` wrote beside a file, or None."""
    try:
        record = json.loads(pathlib.Path(path).with_suffix(".json").read_text())
    except (OSError, ValueError):
        return None
    return record if isinstance(record, dict) and {"sha256", "training"} <= set(record) else None


def _foreign_state(name, content):
    """Return the weights in the layout of another: bare, or under the one of the usual names that holds tensors."""
    found = [content] if _is_state(content) else []
    if isinstance(content, dict) and not found:
        found = [content[key] for key in _LAYOUTS if _is_state(content.get(key))]
    if not found:
        keys = ", ".join(map(str, content)) if isinstance(content, dict) else type(content).__name__
        raise files.DamagedFileError(
            f"{name!r} must hold tensors by name, by themselves or as one of {', '.join(_LAYOUTS)}, and holds {keys}; "
            "save the network's state_dict() with torch.save"
        )
    return dict(found[0])


def _is_state(value):
    return (
        isinstance(value, dict)
        and len(value) > 0
        and all(isinstance(name, str) for name in value)
        and all(isinstance(tensor, torch.Tensor) for tensor in value.values())
    )


def _absorb(total, value):
    """Feed `value` to the hash; a type, a length and the content each, so that no two values feed the same bytes."""
    if isinstance(value, dict):
        total.update(f"dict {len(value)};".encode())
        for key, item in value.items():
            _absorb(total, key)
            _absorb(total, item)
    elif isinstance(value, list | tuple):
        total.update(f"{type(value).__name__} {len(value)};".encode())
        for item in value:
            _absorb(total, item)
    elif isinstance(value, torch.Tensor):
        raw = np.ascontiguousarray(
            value.detach().cpu().contiguous().reshape(-1).view(torch.uint8).numpy()
        )
        total.update(f"tensor {value.dtype} {tuple(value.shape)};".encode())
        total.update(raw.data)
    elif isinstance(value, str | bool | int | float | None):
        text = repr(value).encode()
        total.update(f"{type(value).__name__} {len(text)};".encode() + text)
    else:
        raise TypeError(
            f"a checkpoint holds tensors and plain values only, got {type(value).__name__}"
        )
