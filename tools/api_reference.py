"""Write the API reference of the site: the public names by chapter, with signatures and docstrings, as Markdown (MyST)."""

import ast
import dataclasses
import importlib
import inspect
import pprint
import re
import textwrap
import types
from pathlib import Path

PACKAGES = (
    "multifractal",
    "multifractal.figures",
    "multifractal.source_data",
    "landscape_viz",
    "landscape_viz.recurrent",
)
_SECTION = re.compile(r"^(\w[\w ]*)\n-{3,}\n", flags=re.MULTILINE)
_LISTS = ("Parameters", "Returns", "Raises", "Attributes", "Yields")


def write(folder):
    """Write a page for each chapter of each package, and an index, into `folder`."""
    folder.mkdir(parents=True, exist_ok=True)
    pages = {name: text for package in PACKAGES for name, text in pages_of(package).items()}
    for name, text in (pages | {"index": index(pages)}).items():
        (folder / f"{name}.md").write_text(text)


def index(pages):
    """Return the page that lists all chapters."""
    titles = [f"- [{text.splitlines()[0].lstrip('# ')}]({name}.md)" for name, text in pages.items()]
    listed = "\n".join(pages)
    return (
        "# API reference\n\nEvery public name, by chapter. `import multifractal as mf` gives the names of the "
        "model, `import landscape_viz` those of networks; each is loaded when first used.\n\n"
        + "\n".join(titles)
        + f"\n\n```{{toctree}}\n:hidden:\n\n{listed}\n```\n"
    )


def pages_of(package):
    """Return {file name: text}, a page for each chapter that gives a package public names."""
    chapters = {}
    for name, thing in public(package):
        chapters.setdefault(chapter_of(package, name, thing), []).append((name, thing))
    return {chapter: page(chapter, entries) for chapter, entries in sorted(chapters.items())}


def chapter_of(package, name, thing):
    """Return the folder's dotted name that a public name comes from; the package for what stands at its top."""
    if package in ("multifractal.figures", "multifractal.source_data", "landscape_viz.recurrent"):
        return package
    if "." in name:  # a function of a public module
        return f"{package}.{name.split('.')[0]}"
    stub = (Path(importlib.import_module(package).__file__).parent / "__init__.pyi").read_text()
    lines = [node for node in ast.parse(stub).body if isinstance(node, ast.ImportFrom)]
    home = next(line.module or "" for line in lines if name in (a.asname for a in line.names))
    return f"{package}.{home.split('.')[0]}" if "." in home else package


def page(chapter, entries):
    """Return the page of a chapter: its paragraph, a list of its names, then each with its docstring."""
    about = inspect.getdoc(importlib.import_module(chapter)) or ""
    head, _, rest = about.partition("\n")
    summaries = [
        f"- [`{name}`](#{anchor(chapter, name)}): {first_line(thing)}" for name, thing in entries
    ]
    parts = [f"# {chapter}", head, rest.strip(), "\n".join(summaries)]
    parts += [f"({anchor(chapter, name)})=\n{entry(name, thing)}" for name, thing in entries]
    return "\n\n".join(part for part in parts if part) + "\n"


def public(package):
    """Return (name, object) of everything public in a package, its public modules opened; other packages have own pages."""
    module = importlib.import_module(package)
    found = []
    for name in sorted(module.__all__, key=lambda name: (name.lower(), name)):
        if f"{package}.{name}" in PACKAGES or name == "probe_figures":  # a deprecated name
            continue
        thing = getattr(module, name)
        if not isinstance(thing, types.ModuleType):
            found.append((name, thing))
        else:
            found += [
                (f"{name}.{inner}", value)
                for inner, value in sorted(vars(thing).items(), key=lambda x: (x[0].lower(), x[0]))
                if not inner.startswith("_")
                and callable(value)
                and getattr(value, "__module__", None) == thing.__name__
            ]
    return found


def anchor(chapter, name):
    """Return the anchor of a name: distinct for names that differ only in case, as `Basins` and `basins` do."""
    case = "class-" if name.split(".")[-1][0].isupper() else ""
    return f"{chapter}.{case}{name}".lower().replace("_", "-").replace(".", "-")


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
    parameters = [written(p) for p in inspect.signature(thing).parameters.values()]
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


def written(parameter):
    """Return a parameter without its type, which the text below states; a default that is a class by its short name."""
    parameter = parameter.replace(annotation=inspect.Parameter.empty)
    if inspect.isclass(parameter.default) and parameter.default is not inspect.Parameter.empty:
        return f"{parameter.name}={parameter.default.__module__}.{parameter.default.__name__}"
    return str(parameter)


def call_of(method):
    """Return the arguments of a method in brackets, without `self` and types."""
    found = inspect.signature(method)
    given = [one.replace(annotation=one.empty) for one in found.parameters.values()]
    return str(found.replace(parameters=given[1:], return_annotation=found.empty))


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
        call = call_of(member) if inspect.isfunction(member) else ""
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
