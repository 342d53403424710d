"""Write docs/api/: the public names of both libraries with their signatures and docstrings, as Markdown.

    python tools/api_reference.py [--check]

With --check nothing is written, and the exit status is 1 where a page is not up to date.
"""

import argparse
import ast
import dataclasses
import inspect
import pprint
import re
import sys
import textwrap
import types
from pathlib import Path

import landscape_viz
import multifractal
from multifractal import figures, source_data

FOLDER = Path(__file__).resolve().parents[1] / "docs" / "api"
PACKAGES = (multifractal, figures, source_data, landscape_viz)
_SECTION = re.compile(r"^(\w[\w ]*)\n-{3,}\n", flags=re.MULTILINE)
_LISTS = ("Parameters", "Returns", "Raises", "Attributes", "Yields")


def main(argv=None):
    """Write the pages, or compare them; return the exit status."""
    flags = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    flags.add_argument("--check", action="store_true", help="write nothing")
    check = flags.parse_args(argv).check
    stale = {
        path: text
        for path, text in pages().items()
        if not path.exists() or path.read_text() != text
    }
    for path, text in stale.items():
        print(f"{'stale' if check else 'wrote'}: {path.name}")
        if not check:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)
    return int(check and bool(stale))


def pages():
    """Return the text of each page by its path."""
    return {FOLDER / f"{package.__name__}.md": page(package) for package in PACKAGES}


def page(package):
    """Return the page of a package: a list of its names, then each with its docstring."""
    entries = public(package)
    summaries = [f"- [`{name}`](#{anchor(name)}): {first_line(thing)}" for name, thing in entries]
    head = [
        f"# {package.__name__}",
        markdown(inspect.getdoc(package)),
        "*Written by `tools/api_reference.py` from the docstrings; do not edit.*",
        "\n".join(summaries),
    ]
    return "\n\n".join(head + [entry(name, thing) for name, thing in entries]) + "\n"


def public(package):
    """Return (name, object) of everything public in a package, its public modules opened; other packages have own pages."""
    found = []
    for name in sorted(package.__all__, key=str.lower):
        thing = getattr(package, name)
        if not isinstance(thing, types.ModuleType):
            found.append((name, thing))
        elif thing not in PACKAGES:
            found += [
                (f"{name}.{inner}", value)
                for inner, value in sorted(vars(thing).items(), key=lambda x: x[0].lower())
                if not inner.startswith("_")
                and callable(value)
                and getattr(value, "__module__", None) == thing.__name__
            ]
    return found


def anchor(name):
    """Return the anchor that GitHub gives the heading of a name."""
    return name.lower().replace(".", "")


def first_line(thing):
    """Return the first line of a docstring; the type where an object has none of its own."""
    return own_doc(thing).split("\n")[0] or f"a {type(thing).__name__}"


def own_doc(thing):
    """Return the docstring of a function or class, and an empty one for a constant."""
    return inspect.getdoc(thing) or "" if callable(thing) else ""


def entry(name, thing):
    """Return heading, signature, docstring, fields and members of one name."""
    parts = [f"## `{name}`"]
    if not callable(thing):
        return "\n\n".join([*parts, f"```python\n{pprint.pformat(thing, width=100)}\n```"])
    parts += [f"```python\n{signature(name, thing)}\n```", markdown(own_doc(thing))]
    if inspect.isclass(thing):
        parts += [fields(thing), members(thing)]
    return "\n\n".join(part for part in parts if part)


def signature(name, thing):
    """Return `name(...)`, one parameter a line where it is long."""
    if inspect.isclass(thing) and issubclass(thing, Exception):
        return f"class {name}({thing.__base__.__name__})"
    if (
        inspect.isclass(thing)
        and dataclasses.is_dataclass(thing)
        and "Result" in [base.__name__ for base in thing.__mro__]
    ):
        return f"class {name}"  # made by the package, not by its users
    parameters = [str(p) for p in inspect.signature(thing).parameters.values()]
    kinds = [p.kind for p in inspect.signature(thing).parameters.values()]
    if inspect.Parameter.KEYWORD_ONLY in kinds and inspect.Parameter.VAR_POSITIONAL not in kinds:
        parameters.insert(kinds.index(inspect.Parameter.KEYWORD_ONLY), "*")
    one_line = f"{name}({', '.join(parameters)})"
    return (
        one_line
        if len(one_line) <= 110
        else textwrap.fill(
            one_line,
            110,
            subsequent_indent=" " * (len(name) + 1),
            break_long_words=False,
            break_on_hyphens=False,
        )
    )


def fields(cls):
    """Return the fields that carry a text below them, as a list."""
    told = []
    for node in ast.parse(textwrap.dedent(inspect.getsource(cls))).body[0].body:
        if isinstance(node, ast.AnnAssign):
            told.append([node.target.id, ""])
        elif told and isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant):
            told[-1][1] = " ".join(inspect.cleandoc(node.value.value).split())
    listed = [f"- `{name}`: {text}" for name, text in told if text]
    return "\n".join(["**Fields**", "", *listed]) if listed else ""


def members(cls):
    """Return the public methods and properties that a class defines, each with its first line."""
    listed = []
    for name, member in vars(cls).items():
        if isinstance(member, classmethod | staticmethod):
            member = member.__func__
        if (
            name.startswith("_")
            or not (
                inspect.isfunction(member)
                or inspect.isdatadescriptor(member)
                or hasattr(member, "func")
            )
            or not inspect.getdoc(member)
        ):
            continue
        call = (
            str(inspect.signature(member)).replace("self, ", "").replace("self", "")
            if inspect.isfunction(member)
            else ""
        )
        listed.append(
            f"- `{name}{call}`: {' '.join(inspect.getdoc(member).split(chr(10) * 2)[0].split())}"
        )
    return "\n".join(["**Members**", "", *listed]) if listed else ""


def markdown(doc):
    """Return a NumPy docstring as Markdown: bold section names, lists of parameters, fenced examples."""
    pieces = _SECTION.split(doc)
    parts = [prose(pieces[0])]
    for title, body in zip(pieces[1::2], pieces[2::2], strict=True):
        shown = (
            listed(body)
            if title in _LISTS
            else fenced(body)
            if title == "Examples"
            else prose(body)
        )
        parts.append(f"**{title}**\n\n{shown}")
    return "\n\n".join(part for part in parts if part)


def prose(text):
    """Return text with its reStructuredText literals as Markdown's; indented formulae stay as they are."""
    return text.replace("``", "`").strip("\n")


def listed(body):
    """Return `name : type` entries, each with its description, as a list; lines that are none stay prose."""
    items = []
    for line in body.strip("\n").split("\n"):
        if line and not line.startswith(" "):
            name, _, kind = line.partition(" : ")
            items.append([f"`{name}`" + (f" : {kind}" if kind else "")])
        elif line.strip() and items:
            items[-1].append(line.strip())
    return "\n".join(
        f"- {item[0]}" + (f"<br>{prose(' '.join(item[1:]))}" if item[1:] else "") for item in items
    )


def fenced(body):
    """Return examples in fences, the prose between them outside."""
    parts = []
    for block in re.split(r"\n\s*\n", body.strip("\n")):
        parts.append(f"```python\n{block}\n```" if block.lstrip().startswith(">>>") else block)
    return "\n\n".join(parts)


if __name__ == "__main__":
    sys.exit(main())
