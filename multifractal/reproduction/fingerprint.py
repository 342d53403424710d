"""What of the package a measurement is made of, as one hash: it changes when a definition changes that the measurement reaches.

From a claim's function on, each name is followed to the definition that it stands for, through the package's modules: functions,
classes (whole) and constants. Comments, docstrings and definitions that are not reached do not count, and neither do figures,
which compute nothing. It is read from the sources, so a method of an object counts through its class only, and a class counts
where it is named: in a signature's annotations, in an import, in a body. What is looked up by a text at run time would be missed.
"""

from __future__ import annotations

import ast
import functools
import hashlib
import inspect
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import multifractal
from multifractal.base import files

_ROOT = Path(multifractal.__file__).parent
_PACKAGE = multifractal.__name__
_LEFT_OUT = f"{_PACKAGE}.figures"

Name = tuple[str, str]  # of a module, and of a definition in it


def fingerprint(*things: Any) -> str:
    """Return the hash of all that functions or classes of the package reach; of one from outside it, its file's."""
    digest = hashlib.sha256()
    for place, source in sorted(reached(*things).items()):
        digest.update(f"{place} {source}\n".encode())
    return digest.hexdigest()


def reached(*things: Any) -> dict[str, str]:
    """Return {"module.name": hash of the definition} of all that functions or classes reach."""
    found: dict[str, str] = {}
    ahead: list[Name] = []
    for thing in things:
        inside = thing.__module__.split(".")[0] == _PACKAGE and "<" not in thing.__qualname__
        if inside:
            ahead.append((thing.__module__, thing.__qualname__.split(".")[0]))
        else:
            found[f"{thing.__module__}.{thing.__qualname__}"] = files.file_sha256(
                inspect.getfile(thing)
            )
    seen = set()
    while ahead:
        at = ahead.pop()
        if at in seen or at[0].startswith(_LEFT_OUT):
            continue
        seen.add(at)
        source, named = _definition(*at)
        found |= {".".join(at): source} if source else {}
        ahead += named
    return found


@functools.cache
def _definition(module: str, name: str) -> tuple[str, list[Name]]:
    """Return the hash of a definition, empty where the name is only handed on, and the names that it refers to."""
    here = _module(module)
    nodes = here.definitions.get(name, [])
    named = [found for node in [*nodes, *here.loose] for found in here.named_in(node)]
    if not nodes:
        return "", named + here.elsewhere(name)
    return hashlib.sha256("".join(map(_plain, nodes)).encode()).hexdigest(), named


class _Module:
    """A module's definitions by name, what it imports from the package by local name, and statements that are neither."""

    def __init__(self, name: str) -> None:
        self.name = name
        path = _ROOT.joinpath(*name.split(".")[1:])
        self.is_package = path.is_dir()
        self.folder = path
        tree = ast.parse(
            (path / "__init__.py" if self.is_package else path.with_suffix(".py")).read_text()
        )
        self.definitions: dict[str, list[ast.AST]] = {}
        self.imports: dict[str, Name] = {}
        self.loose: list[ast.AST] = []
        for node in tree.body:
            names = _bound(node)
            for bound in names:
                self.definitions.setdefault(bound, []).append(node)
            if isinstance(node, ast.Import | ast.ImportFrom):
                self.imports |= dict(_imported(node))
            elif not names and not _is_text(node) and not _is_for_types(node):
                self.loose.append(node)

    def named_in(self, node: ast.AST) -> list[Name]:
        """Return the names of the package that a definition here refers to."""
        inner = {
            local: name
            for each in ast.walk(node)
            if isinstance(each, ast.ImportFrom | ast.Import)
            for local, name in _imported(each)
        }
        known, found = self.imports | inner, list(inner.values())
        for each in ast.walk(node):
            if isinstance(each, ast.Attribute) and isinstance(each.value, ast.Name):
                if (at := known.get(each.value.id)) is not None:
                    found += _followed(at, each.attr)
            elif isinstance(each, ast.Name):
                if each.id in self.definitions:
                    found.append((self.name, each.id))
                elif each.id in known and not _is_module(".".join(known[each.id])):
                    found.append(known[each.id])
        return found

    def elsewhere(self, name: str) -> list[Name]:
        """Return where a name is defined that this module only hands on."""
        if name in self.imports:
            return [self.imports[name]]
        inside = f"{self.name}.{name}"
        if not self.is_package or _is_module(inside):
            return []
        modules = [
            f"{self.name}.{path.stem}" for path in self.folder.glob("*.py") if path.stem[:2] != "__"
        ]
        modules += list(_stub(self.folder).get(name, ()))
        return [(module, name) for module in modules if name in _module(module).definitions]


@functools.cache
def _module(name: str) -> _Module:
    return _Module(name)


@functools.cache
def _stub(folder: Path) -> dict[str, tuple[str, ...]]:
    """Return {public name: modules} that a package's stub takes its names from."""
    stub, package = folder / "__init__.pyi", ".".join((_PACKAGE, *folder.relative_to(_ROOT).parts))
    if not stub.exists():
        return {}
    return {
        alias.asname or alias.name: (f"{package}.{node.module}",)
        for node in ast.parse(stub.read_text()).body
        if isinstance(node, ast.ImportFrom) and node.module
        for alias in node.names
    }


def _followed(at: Name, attribute: str) -> list[Name]:
    """Return what `attribute` of an imported name refers to: a definition if the name is a module, else the name itself."""
    module = ".".join(at)
    return [(module, attribute)] if _is_module(module) else [at]


def _imported(node: ast.Import | ast.ImportFrom) -> Iterable[tuple[str, Name]]:
    """Yield (local name, (module, name)) of what a statement imports from the package."""
    if isinstance(node, ast.ImportFrom) and node.module and node.module.split(".")[0] == _PACKAGE:
        for alias in node.names:
            yield alias.asname or alias.name, (node.module, alias.name)


def _is_module(name: str) -> bool:
    path = _ROOT.joinpath(*name.split(".")[1:])
    return path.is_dir() or path.with_suffix(".py").exists()


def _bound(node: ast.AST) -> list[str]:
    """Return the names that a statement at a module's top defines."""
    if isinstance(node, ast.FunctionDef | ast.ClassDef):
        return [node.name]
    targets = (
        node.targets
        if isinstance(node, ast.Assign)
        else [node.target]
        if isinstance(node, ast.AnnAssign | ast.AugAssign)
        else []
    )
    return [
        each.id for target in targets for each in ast.walk(target) if isinstance(each, ast.Name)
    ]


def _is_text(node: ast.AST) -> bool:
    return isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)


def _is_for_types(node: ast.AST) -> bool:
    return isinstance(node, ast.If) and "TYPE_CHECKING" in ast.dump(node.test)


def _plain(node: ast.AST) -> str:
    """Return a definition as text without its docstrings; comments and layout are not in the tree."""
    return ast.unparse(_Undocumented().visit(ast.parse(ast.unparse(node))))


class _Undocumented(ast.NodeTransformer):
    def visit_FunctionDef(self, node: ast.FunctionDef) -> ast.AST:  # noqa: N802
        return self._stripped(node)

    def visit_ClassDef(self, node: ast.ClassDef) -> ast.AST:  # noqa: N802
        return self._stripped(node)

    def _stripped(self, node: ast.FunctionDef | ast.ClassDef) -> ast.AST:
        self.generic_visit(node)
        if node.body and _is_text(node.body[0]):
            node.body = node.body[1:] or [ast.Pass()]
        return node
