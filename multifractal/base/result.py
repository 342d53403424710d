"""Results: frozen dataclasses that know where they came from, and save to and load from one checked file."""

import dataclasses
import functools
import importlib.metadata
import platform

import numpy as np

from multifractal._version import __version__
from multifractal.base import files
from multifractal.base.rng import describe

_RECORDED = ("numpy", "scipy", "numba")
_ARRAY, _ITEMS = "__array__", "__items__"


@dataclasses.dataclass(frozen=True)
class Provenance:
    """What made a result: the call in words, the seed, and the versions."""

    call: str
    seed: str | None = None
    versions: dict = dataclasses.field(default_factory=dict)

    @classmethod
    def of(cls, function, /, *, rng=None, packages=_RECORDED, **arguments):
        """Record a call of the function named `function`; large arrays are recorded by shape."""
        words = ", ".join(f"{name}={_in_words(value)}" for name, value in arguments.items())
        versions = {"multifractal": __version__, "python": platform.python_version()}
        versions |= {name: _version_of(name) for name in packages}
        return cls(f"{function}({words})", None if rng is None else describe(rng), versions)


class Result:
    """Base of the frozen dataclasses that hold results: arrays, parameters and a `provenance` field."""

    def save(self, path, *, overwrite=False):
        """Write this result to one `.npz` with a SHA-256 (no pickles); `load` reads it back."""
        arrays, plain = {}, {}
        for field in dataclasses.fields(self):
            plain[field.name] = _packed(getattr(self, field.name), field.name, arrays)
        files.save_arrays(
            path, arrays, {"class": type(self).__name__, "fields": plain}, overwrite=overwrite
        )

    @classmethod
    def load(cls, path):
        """Read a result written by `save`; raises `DamagedFileError` when the file was altered or is of another class."""
        arrays, metadata = files.load_arrays(path)
        if metadata.get("class") != cls.__name__:
            raise files.DamagedFileError(
                f"{path!r} holds a {metadata.get('class')}, not a {cls.__name__}; "
                f"load it with {metadata.get('class')}.load"
            )
        kinds = {field.name: field.type for field in dataclasses.fields(cls)}
        return cls(
            **{
                name: _unpacked(value, kinds[name], arrays)
                for name, value in metadata["fields"].items()
            }
        )

    def __repr__(self):
        """Name each array by its shape and dtype, everything else by its value."""
        fields = [f for f in dataclasses.fields(self) if f.repr and f.name != "provenance"]
        return f"{type(self).__name__}({', '.join(f'{f.name}={_in_words(getattr(self, f.name))}' for f in fields)})"


@functools.cache
def _version_of(package):
    return importlib.metadata.version(package)  # about a millisecond: it reads the disk


def _packed(value, name, arrays):
    """Return `value` as JSON can hold it; arrays, also in tuples, dicts and dataclasses, go to `arrays` by dotted name."""
    if isinstance(value, np.ndarray | np.generic):
        arrays[name] = value
        return {_ARRAY: name}
    if dataclasses.is_dataclass(value):
        return {
            f.name: _packed(getattr(value, f.name), f"{name}.{f.name}", arrays)
            for f in dataclasses.fields(value)
        }
    if isinstance(value, dict):
        # in their order
        return {
            _ITEMS: [[key, _packed(item, f"{name}.{key}", arrays)] for key, item in value.items()]
        }
    if isinstance(value, tuple | list):
        return [_packed(item, f"{name}.{i}", arrays) for i, item in enumerate(value)]
    return value


def _unpacked(value, kind, arrays):
    """Return what `_packed` was given, for a field of type `kind`."""
    if isinstance(value, dict) and set(value) == {_ARRAY}:
        return _frozen(arrays[value[_ARRAY]])
    if isinstance(value, dict) and set(value) == {_ITEMS}:
        return {key: _unpacked(item, None, arrays) for key, item in value[_ITEMS]}
    if isinstance(value, dict) and dataclasses.is_dataclass(kind):
        return kind(
            **{f.name: _unpacked(value[f.name], f.type, arrays) for f in dataclasses.fields(kind)}
        )
    if isinstance(value, dict):  # a dataclass of no known type
        return {key: _unpacked(item, None, arrays) for key, item in value.items()}
    if isinstance(value, list):
        items = [_unpacked(item, None, arrays) for item in value]
        return tuple(items) if kind is tuple else items
    return value


def _in_words(value):
    if isinstance(value, tuple) and any(isinstance(item, np.ndarray) for item in value):
        return f"({', '.join(map(_in_words, value))})"
    if isinstance(value, np.ndarray) and value.size > 8:
        return f"<{value.dtype} {value.shape}>"
    if isinstance(value, np.ndarray | np.generic):
        return repr(value.tolist())
    if isinstance(value, type):
        return value.__name__
    return repr(value)


def _frozen(array):
    array.setflags(write=False)
    return array
