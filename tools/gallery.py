"""Make the gallery of the site: each figure of the executed demo with its code, its caption and what it prints."""

import base64
import re
from pathlib import Path

import nbformat

_SAVED = re.compile(r"save_figure\([^\"]*\"([\w-]+)\"")


def write(notebook, folder):
    """Write a page for each figure of an executed notebook, and an index with its pictures, into `folder`."""
    folder.mkdir(parents=True, exist_ok=True)
    examples = list(figures_of(nbformat.read(notebook, 4)))
    for example in examples:
        if example["picture"]:
            (folder / f"{example['name']}.png").write_bytes(example["picture"])
        (folder / f"{example['name']}.md").write_text(page(example))
    (folder / "index.md").write_text(index(examples))


def figures_of(notebook):
    """Yield name, title, caption, code, printed text and picture of each figure, in the notebook's order."""
    title = caption = ""
    for cell in notebook.cells:
        if cell.cell_type == "markdown":
            head, _, rest = cell.source.partition("\n")
            if head.startswith("#"):
                title, caption = head.lstrip("# ").strip(), rest.strip()
            else:
                caption = cell.source.strip()
            continue
        for name in _SAVED.findall(cell.source):
            yield {
                "name": name,
                "title": title,
                "caption": caption,
                "told": told_of(name, cell.outputs),
                "code": cell.source,
                "printed": "".join(output.get("text", "") for output in cell.outputs),
                "picture": picture_of(name, cell.outputs),
            }


def picture_of(name, outputs):
    """Return the bytes of the figure's PNG among a cell's outputs; None if it was not drawn."""
    for data in (output.get("data", {}) for output in outputs):
        if "image/png" in data and data["text/plain"].endswith(f": {name}"):
            return base64.b64decode(data["image/png"])
    return None


def told_of(name, outputs):
    """Return the caption that stands below the figure's picture, or nothing."""
    data = [output.get("data", {}) for output in outputs]
    for shown, below in zip(data, data[1:], strict=False):
        if shown.get("text/plain", "").endswith(f": {name}"):
            return below.get("text/markdown", "")
    return ""


def page(example):
    """Return the page of one figure."""
    drawn = f"![{example['title']}]({example['name']}.png)" if example["picture"] else ""
    printed = (
        f"It prints:\n\n```text\n{example['printed'].strip()}\n```" if example["printed"] else ""
    )
    parts = [
        f"# {example['title']}: `{example['name']}`",
        drawn,
        example["told"],
        example["caption"],
        printed,
        "The code of the cell; the cells above it in `demo.ipynb` define what it uses:",
        f"```python\n{example['code'].strip()}\n```",
    ]
    return "\n\n".join(part for part in parts if part) + "\n"


def index(examples):
    """Return the page that shows all figures as cards, in the order of the demo."""
    cards = "\n".join(card(example) for example in examples)
    names = "\n".join(example["name"] for example in examples)
    return (
        "# Gallery\n\nEach figure of `make demo`: the paper's figures recomputed from a seed, and those that go past it. "
        "A page holds the figure, how to read it, what it prints and its code; "
        "[what to expect](../expect.md) lists the time of each.\n\n"
        f"::::{{grid}} 1 2 3 3\n:gutter: 2\n\n{cards}\n::::\n\n"
        f"```{{toctree}}\n:hidden:\n\n{names}\n```\n"
    )


def card(example):
    """Return one card of the index: the picture, if the committed demo has it, and the title."""
    picture = f":img-top: {example['name']}.png\n" if example["picture"] else ""
    return f":::{{grid-item-card}} {example['title']}\n:link: {example['name']}\n:link-type: doc\n{picture}\n`{example['name']}`\n:::"


def names(notebook=Path("demo.ipynb")):
    """Return the names of the figures of a notebook."""
    return [example["name"] for example in figures_of(nbformat.read(notebook, 4))]
