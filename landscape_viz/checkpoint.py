"""Checkpoints: files of tensors that torch reads with weights_only=True, with a SHA-256 of their content, checked on load.

Our files are {'state_dict': ..., 'training': ..., 'format': ..., 'sha256': ...}, which published scripts can read too. Files
by others, {'state_dict': ...} or a bare state_dict, are read with a warning: nothing tells whether they are whole.
"""

import hashlib
import io
import os
import warnings
from dataclasses import dataclass, field

import numpy as np
import torch

from multifractal.base import checks, files

FORMAT = "landscape_viz checkpoint 1"


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


def save(path, state_dict, training=None, *, overwrite=False):
    """Write a state_dict, and what training needs to go on, to one file: atomic, tensors and plain values only.

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


def load(path):
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
            content = torch.load(file, map_location="cpu", weights_only=True)
        ours = isinstance(content, dict) and ("sha256" in content or "format" in content)
        good = not ours or content.pop("sha256") == content_sha256(content)
    except (FileNotFoundError, IsADirectoryError, PermissionError):
        raise
    except Exception as error:  # parsers raise errors of any kind on damaged bytes
        reason = (str(error).strip().splitlines() or [type(error).__name__])[0]
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
    warnings.warn(
        f"{name!r} carries no SHA-256 of this package; it is read unverified", stacklevel=2
    )
    return Checkpoint(_foreign_state(name, content), verified=False)


def content_sha256(value):
    """Return the SHA-256, in hexadecimal, of a `value` of nested dicts, lists, tensors, numbers, strings and None."""
    total = hashlib.sha256()
    _absorb(total, value)
    return total.hexdigest()


def _foreign_state(name, content):
    state = content.get("state_dict", content) if isinstance(content, dict) else None
    if (
        not isinstance(state, dict)
        or not state
        or not all(isinstance(t, torch.Tensor) for t in state.values())
    ):
        raise files.DamagedFileError(
            f"{name!r} must hold {{'state_dict': tensors by name}} or tensors by name, and does not; "
            "save the network's state_dict() with torch.save"
        )
    return dict(state)


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
