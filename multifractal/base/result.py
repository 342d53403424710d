"""Results: frozen dataclasses that know where they came from, and save to and load from one checked file."""

from __future__ import annotations

import dataclasses
import functools
import importlib.metadata
import platform
import re
import typing
from collections.abc import Iterable, Mapping
from typing import Any, ClassVar, Self

import numpy as np

from multifractal._version import __version__
from multifractal.base import files
from multifractal.base.rng import describe
from multifractal.base.types import Array, PathLike, Rng

_RECORDED = ("numpy", "scipy", "numba")
_dtype_in_words = functools.cache(str)
_PLAIN = (float, int, str, bool, type(None))
_ARRAY, _ITEMS, _CLASS = "__array__", "__items__", "__class__"
FORMAT = 1  # of files: 0 had neither its number nor the classes of results within results
_CLASSES: dict[str, Any] = {}  # results by name, which a file names


@dataclasses.dataclass(frozen=True)
class Provenance:
    """What made a result: the call in words, the seed, and the versions."""

    call: str
    seed: str | None = None
    versions: dict = dataclasses.field(default_factory=dict)

    @classmethod
    def of(
        cls,
        function: str,
        /,
        *,
        rng: Rng | None = None,
        packages: Iterable[str] = _RECORDED,
        **arguments: Any,
    ) -> Provenance:
        """Record a call of the function named `function`; large arrays are recorded by shape."""
        words = ", ".join([f"{name}={_in_words(value)}" for name, value in arguments.items()])
        seed = None if rng is None else describe(rng)
        return cls(f"{function}({words})", seed, dict(_versions_of(tuple(packages))))


class _Late:
    """What `late` returns: it stands in the class, and the values in the instances."""

    def __set_name__(self, owner: type, name: str) -> None:
        self.name = name

    def __get__(self, instance: Any, owner: type | None = None) -> Any:
        """Return the value."""
        if instance is None:
            raise AttributeError(self.name)  # so that dataclasses see a field without default
        value = vars(instance)[self.name]
        if callable(value):
            value = vars(instance)[self.name] = value()
        return value

    def __set__(self, instance: Any, value: Any) -> None:
        vars(instance)[self.name] = value


def late() -> Any:
    """Return the default of a field that may be given as a function without arguments, called when the field is first read.

    `losses: np.ndarray = late()`. What it gave is kept, so that it is called once; a copy, a pickle or a file holds it, too.
    """
    return _Late()


class Result:
    """Base of the frozen dataclasses that hold results: arrays, parameters and a `provenance` field.

    Results are built by keyword. A file written by `save` outlives changes of its class: a field with a default may be added, and
    a field or the class itself renamed, if the class says so:

        class Walk(Result, renamed={"eta": "learning_rate", "no_more": None}, formerly=("Path",)): ...

    renamed : dict of str to str or None
        Old names of fields in files to the present ones; None for a field that is no more.
    formerly : tuple of str
        Old names of the class.
    """

    _renamed: ClassVar[Mapping[str, str | None]] = {}
    __dataclass_fields__: ClassVar[dict[str, dataclasses.Field[Any]]]
    _formerly: ClassVar[tuple[str, ...]] = ()

    def __init_subclass__(
        cls,
        *,
        renamed: Mapping[str, str | None] | None = None,
        formerly: tuple[str, ...] = (),
        **others: Any,
    ) -> None:
        super().__init_subclass__(**others)
        cls._renamed, cls._formerly = renamed or {}, formerly
        _CLASSES[cls.__name__] = cls

    def save(self, path: PathLike, *, overwrite: bool = False) -> None:
        """Write this result to one `.npz` with a SHA-256 (no pickles); `load` reads it back."""
        arrays: dict[str, Any] = {}
        fields = {
            field.name: _packed(getattr(self, field.name), field.name, arrays)
            for field in dataclasses.fields(self)
        }
        metadata = {
            "class": type(self).__name__,
            "format": FORMAT,
            "written by": __version__,
            "fields": fields,
        }
        files.save_arrays(path, arrays, metadata, overwrite=overwrite)

    @classmethod
    def load(cls, path: PathLike) -> Self:
        """Read a result written by `save`, of this version or an older one.

        Raises
        ------
        DamagedFileError
            When the file was altered, is of another class, or has fields that this version cannot place.
        """
        arrays, metadata = files.load_arrays(path)
        kind, form = metadata.get("class"), metadata.get("format", 0)  # 0 had no number
        if kind not in (cls.__name__, *cls._formerly):
            raise files.DamagedFileError(
                f"{path!r} holds a {kind}, not a {cls.__name__}; load it with {kind}.load"
            )
        writer = metadata.get("written by", "an early version")
        if form > FORMAT:
            raise files.DamagedFileError(
                f"{path!r} is of format {form}, and this version reads formats up to {FORMAT}; "
                f"update multifractal to {writer} or later"
            )
        try:
            return _built(cls, cls._upgraded(metadata["fields"], arrays, form), arrays)
        except _Misfit as error:
            raise files.DamagedFileError(
                f"{path!r}, written by {writer}, {error}; load it with that version"
            ) from None

    @classmethod
    def _upgraded(
        cls, fields: dict[str, Any], arrays: Mapping[str, Array], form: int
    ) -> dict[str, Any]:
        """Return the packed fields of a file of a format as this one packs them; a class whose layout has changed overrides it."""
        return fields

    def __getstate__(self) -> dict[str, Any]:
        """Return what a copy or a pickle holds: each field, those that are late among them."""
        for field in dataclasses.fields(self):
            getattr(self, field.name)
        return vars(self).copy()

    def __repr__(self) -> str:
        """Name each array by its shape and dtype, everything else by its value."""
        fields = [f for f in dataclasses.fields(self) if f.repr and f.name != "provenance"]
        return f"{type(self).__name__}({', '.join(f'{f.name}={_in_words(getattr(self, f.name))}' for f in fields)})"


@functools.cache
def _versions_of(packages: tuple[str, ...]) -> dict[str, str]:
    """Return the versions of this package, of Python and of others; about a millisecond each, since they are read from the disk."""
    ours = {"multifractal": __version__, "python": platform.python_version()}
    return ours | {name: importlib.metadata.version(name) for name in packages}


def _packed(value: Any, name: str, arrays: dict[str, Any]) -> Any:
    """Return `value` as JSON can hold it; arrays, also in tuples, dicts and dataclasses, go to `arrays` by dotted name."""
    if isinstance(value, np.ndarray | np.generic):
        arrays[name] = value
        return {_ARRAY: name}
    if dataclasses.is_dataclass(value):
        of_class: dict[str, Any] = (
            {_CLASS: type(value).__name__} if isinstance(value, Result) else {}
        )
        return of_class | {
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


def unpacked(value: Any, kind: Any, arrays: Mapping[str, Array]) -> Any:
    """Return what `_packed` was given, for a field that is annotated with the type `kind`."""
    if isinstance(value, dict):
        if set(value) == {_ARRAY}:
            array = arrays[value[_ARRAY]]
            return _frozen(array) if array.ndim else array[()]
        if set(value) == {_ITEMS}:
            inner = _inner(kind)
            return {key: unpacked(item, inner, arrays) for key, item in value[_ITEMS]}
        kind = _CLASSES.get(value.get(_CLASS, ""), _dataclass_in(kind))
        if kind is not None:
            return _built(kind, value, arrays)
        return {key: unpacked(item, None, arrays) for key, item in value.items()}
    if isinstance(value, list):
        items = [unpacked(item, _inner(kind), arrays) for item in value]
        return tuple(items) if (typing.get_origin(kind) or kind) is tuple else items
    return value


def _built(kind: Any, fields: dict[str, Any], arrays: Mapping[str, Array]) -> Any:
    """Return a dataclass from its packed fields: those of old names renamed, those of none by their defaults."""
    renamed = getattr(kind, "_renamed", {})
    given = {renamed.get(name, name): value for name, value in fields.items() if name != _CLASS}
    given.pop(None, None)  # fields that are no more
    known = {field.name: field for field in dataclasses.fields(kind)}
    if unknown := given.keys() - known.keys():
        raise _Misfit(
            f"has fields that {kind.__name__} does not know: {', '.join(sorted(unknown))}"
        )
    missing = [name for name, field in known.items() if name not in given and _needed(field)]
    if missing:
        raise _Misfit(f"lacks fields of {kind.__name__} without default: {', '.join(missing)}")
    types = _types(kind)
    return kind(**{name: unpacked(v, types[name], arrays) for name, v in given.items()})


@functools.cache
def _types(kind: type) -> dict[str, Any]:
    return typing.get_type_hints(kind)  # as types, where the module writes annotations as text


class _Misfit(Exception):
    """The fields in a file are not those of its class."""


def _needed(field: dataclasses.Field[Any]) -> bool:
    return field.default is dataclasses.MISSING and field.default_factory is dataclasses.MISSING


def _inner(kind: Any) -> Any:
    """Return what a container type holds, the X of tuple[X, ...], list[X] or dict[str, X]; None if it does not say."""
    inner = [each for each in typing.get_args(kind) if each is not Ellipsis]
    return inner[-1] if inner else None


def _dataclass_in(kind: Any) -> Any:
    """Return the dataclass of an annotation, the X of X or X | None; None if there is none."""
    kinds = [each for each in (kind, *typing.get_args(kind)) if dataclasses.is_dataclass(each)]
    return kinds[0] if kinds else None


def _in_words(value: object) -> str:
    if type(value) in _PLAIN:
        return repr(value)
    if isinstance(value, np.ndarray) and value.size > 8:
        return f"<{_dtype_in_words(value.dtype)} {value.shape}>"
    if isinstance(value, np.ndarray | np.generic):
        return repr(value.tolist())
    if isinstance(value, tuple) and any(isinstance(item, np.ndarray) for item in value):
        return f"({', '.join(map(_in_words, value))})"
    if isinstance(value, type):
        return value.__name__
    words = repr(value)  # without addresses: no two runs have the same
    return re.sub(r" at 0x[0-9a-f]+>", ">", words) if " at 0x" in words else words


def _frozen(array: Array) -> Array:
    array.setflags(write=False)
    return array
