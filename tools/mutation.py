"""Slips of the kind that a careless refactoring makes, one at a time: found by the syntax tree, made in the text."""

import ast
import functools
import hashlib
import re
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

AREAS = {  # the first that fits; kernels are the compiled functions of any file
    "files": r"base/files|base/result|source_data/|run_folder|checkpoint|section_store",
    "figures": r"figures/",
    "rules": r"reproduction/|verdict|measured/|walkers/drift|fractality",
    "statistics": r"multifractal/analysis/|base/statistics|diffusion/|geometry/|walkers/stability",
    "scripts": r"experiments/|studies/|^[^/]*\.py$",
    "networks": r"landscape_viz/",
    "model": r"multifractal/",
}
_COMPARISONS = {ast.Lt: ">", ast.Gt: "<", ast.LtE: ">", ast.GtE: "<", ast.Eq: "!=", ast.NotEq: "=="}
_COMPARISONS |= {ast.Is: "is not", ast.IsNot: "is", ast.In: "not in", ast.NotIn: "in"}
_OPERATORS = {ast.Add: "-", ast.Sub: "+", ast.Mult: "/", ast.Div: "*", ast.Pow: "*"}
_NAMES = "min max argmin argmax minimum maximum nanmin nanmax sin cos floor ceil mean sum zeros ones".split()
_NAMES = dict(zip(_NAMES, [_NAMES[k ^ 1] for k in range(len(_NAMES))], strict=True))
_NAMES |= {
    "log2": "log",
    "log10": "log",
    "expm1": "exp",
    "log1p": "log",
    "searchsorted": "digitize",
}
_NUMBERS = {0.95: "0.9", 0.975: "0.95", 1.96: "1.568", 0: "1", 0.5: "0.6"}
# Arguments that change how a thing looks, runs or reads, not what comes out.
_COSMETIC = re.compile(
    "font|alpha|line|lw|^ls$|^ms$|^s$|size|zorder|dpi|pad|color|cmap|marker|margin|loc$|aspect|shrink|legend|rasterized|"
    "frozen|repr|^eq$|nogil|cache|stacklevel|dest|help|timeout|daemon|width|height|layout|indent|sort_keys|strict|progress|desc"
)
# Calls whose arguments are words, or places on a figure.
_WORDS = "require refuse warn print add_argument text annotate legend tick_params grid subplots_adjust margins subplots inset_axes".split()


@dataclass(frozen=True)
class Mutant:
    """One slip: file, function ("<module>" outside of any), place in the text, and what stands there instead."""

    path: str
    scope: str
    kind: str
    line: int
    start: int
    end: int
    old: str
    new: str
    key: str
    area: str

    def apply(self, text):
        """Return the file's text with the slip."""
        return text[: self.start] + self.new + text[self.end :]


def mutants_of(path, root):
    """Return every slip that can be made in the file `path` below `root`."""
    return _Finder(Path(path), Path(root)).found


class _Finder(ast.NodeVisitor):
    def __init__(self, path, root):
        self.path, self.text = path.as_posix(), (root / path).read_text()
        self.lines, self.starts = self.text.encode().splitlines(keepends=True), [0]
        for line in self.lines:
            self.starts.append(self.starts[-1] + len(line.decode()))
        self.scope, self.compiled, self.found = [], False, []
        self.counts = Counter()
        areas = (area for area, pattern in AREAS.items() if re.search(pattern, self.path))
        self.area = next(areas, "model")
        self.top = ast.parse(self.text)
        self.body = ""
        self.visit(self.top)

    def add(self, kind, node, new, end=None):
        start = self._at(node.lineno, node.col_offset)
        end = self._at(node.end_lineno, node.end_col_offset) if end is None else end
        old = self.text[start:end]
        if old == new:  # the first stream, exchanged for the first
            return
        scope = ".".join(self.scope) or "<module>"
        count = self.counts[scope, kind, old]
        self.counts[scope, kind, old] += 1
        said = f"{self.path}|{scope}|{self.body}|{kind}|{old}|{new}|{count}"
        key = hashlib.sha256(said.encode()).hexdigest()[:12]
        area = "kernels" if self.compiled else self.area
        self.found.append(
            Mutant(self.path, scope, kind, node.lineno, start, end, old, new, key, area)
        )

    def _at(self, line, column):
        return self.starts[line - 1] + len(self.lines[line - 1][:column].decode())

    def visit_FunctionDef(self, node):  # noqa: N802  the names are ast's
        before, compiled = self.body, self.compiled
        self.compiled |= any(
            re.search("njit|kernel|compiled", ast.unparse(d)) for d in node.decorator_list
        )
        nested = bool(self.scope) and self.scope[-1].strip("_")[0].islower()
        if not nested:
            self.scope.append(node.name)
            self.body = ast.unparse(node)
        for part in (*node.args.defaults, *node.args.kw_defaults, *node.body):
            if part is not None:
                self.visit(part)
        if not nested:
            self.scope.pop()
        self.body, self.compiled = before, compiled

    def visit_ClassDef(self, node):  # noqa: N802
        self.scope.append(node.name)
        for part in node.body:
            self.visit(part)
        self.scope.pop()

    def visit_Expr(self, node):  # noqa: N802
        if isinstance(node.value, ast.Constant):  # a docstring
            return
        if isinstance(node.value, ast.Call):
            self.add("call deleted", node, "pass")
        self.generic_visit(node)

    def visit_Raise(self, node):  # noqa: N802  what an error says is not tried
        pass

    visit_Assert = visit_JoinedStr = visit_Import = visit_ImportFrom = visit_Raise

    def visit_Call(self, node):  # noqa: N802
        name = getattr(node.func, "attr", getattr(node.func, "id", ""))
        if name in _WORDS:
            for argument in node.args[:1] if name == "require" else ():
                self.visit(argument)
            return
        if name in _NAMES:
            at = self._at(node.func.end_lineno, node.func.end_col_offset)
            new = self.text[self._at(node.lineno, node.col_offset) : at - len(name)] + _NAMES[name]
            self.add("name exchanged", node.func, new)
        if name == "realisation" and len(node.args) == 2:
            self.add("stream reused", node.args[1], "0")
        self.generic_visit(node)

    def visit_keyword(self, node):
        if node.arg and _COSMETIC.search(node.arg):
            return
        value = getattr(node.value, "value", None)
        if node.arg == "axis" and type(value) is int:
            self.add("axis", node.value, "1" if value == 0 else "0")
        elif node.arg == "ddof" and type(value) is int:
            self.add("ddof", node.value, str(1 - value))
        else:
            self.visit(node.value)

    def visit_Constant(self, node):  # noqa: N802
        if type(node.value) is bool:
            self.add("truth", node, str(not node.value))
        elif type(node.value) is int:
            self.add("number", node, _NUMBERS.get(node.value, str(node.value + 1)))
        elif type(node.value) is float:
            self.add("number", node, _NUMBERS.get(node.value, repr(0.8 * node.value)))

    def visit_Compare(self, node):  # noqa: N802
        new = _COMPARISONS.get(type(node.ops[0]))
        if new and len(node.ops) == 1:
            self._between("comparison", node.left, node.comparators[0], new)
        self.generic_visit(node)

    def visit_BinOp(self, node):  # noqa: N802
        words = any(
            isinstance(side, ast.JoinedStr | ast.List | ast.Tuple)
            or (isinstance(side, ast.Constant) and isinstance(side.value, str | bytes))
            for side in (node.left, node.right)
        )
        if type(node.op) in _OPERATORS and not words:
            self._between("operator", node.left, node.right, _OPERATORS[type(node.op)])
        self.generic_visit(node)

    def visit_BoolOp(self, node):  # noqa: N802
        new = "or" if isinstance(node.op, ast.And) else "and"
        self._between("and, or", node.values[0], node.values[1], new)
        self.generic_visit(node)

    def visit_UnaryOp(self, node):  # noqa: N802
        if isinstance(node.op, ast.USub | ast.Not):
            start = self._at(node.lineno, node.col_offset)
            self.add("sign", node, "", end=start + (1 if isinstance(node.op, ast.USub) else 3))
        if not isinstance(node.operand, ast.Constant):
            self.generic_visit(node)

    def _between(self, kind, left, right, new):
        """Replace the sign between two operands, which brackets may enclose."""
        start = self._at(left.end_lineno, left.end_col_offset)
        end = self._at(right.lineno, right.col_offset)
        between = self.text[start:end]
        sign = re.search(r"(\*\*|//|[<>=!]=|is not|not in|[<>+\-*/]|\b(is|in|and|or)\b)", between)
        if sign is None or "#" in between:
            return
        place = ast.copy_location(ast.Pass(), left)
        place.lineno, place.col_offset = left.end_lineno, left.end_col_offset
        self.add(kind, place, between[: sign.start()] + new + between[sign.end() :], end=end)


def sources(root):
    """Return the paths of the files that are tried: both libraries and the scripts."""
    folders = ("multifractal", "landscape_viz", "experiments")
    paths = [p for folder in folders for p in (root / folder).rglob("*.py")]
    paths += [root / name for name in ("LL_visualisation.py", "train_supplementary.py")]
    return sorted(p.relative_to(root) for p in paths if "published_findings" not in p.parts)


@functools.cache
def _by_area(root):
    areas = {}
    for path in sources(root):
        for mutant in mutants_of(path, root):
            areas.setdefault(mutant.area, []).append(mutant)
    return areas


def chosen(root, count):
    """Return `count` slips, drawn by their keys: every area by the root of its size, a file and kind at a time."""
    areas = _by_area(root)
    total = sum(len(found) ** 0.5 for found in areas.values())
    picked = []
    for found in areas.values():
        turns, order = {}, []
        for mutant in sorted(found, key=lambda m: m.key):
            turn = turns[mutant.path, mutant.kind] = turns.get((mutant.path, mutant.kind), 0) + 1
            order.append((turn, mutant.key, mutant))
        picked += [m for *_, m in sorted(order)[: round(count * len(found) ** 0.5 / total)]]
    return sorted(picked, key=lambda m: m.key)
