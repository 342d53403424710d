"""Which arguments the remedies of both libraries name, and whether whoever reads one can pass it: by the syntax tree alone.

A remedy is a text of a function that says "pass x=". Its reader called some public function; so x must be an argument of the
function itself or of those that call it, and each caller on the way must hand its own x on. A caller that fixes x is fine (the
remedy is then taken already); one that leaves x out, or a public function without x, is named.
"""

import ast
import re
from dataclasses import dataclass, field
from pathlib import Path

_NAMED = re.compile(r"(?:\bpass|\bor|\band|\buse|\bby|,) ?([a-z]\w+)=(?!=)")
_OF_ANOTHER = re.compile(
    r"\w+\([^()]*\)"
)  # "pass Landscape(values, hoelder=...)": of that one, not of the reader's call


@dataclass
class Function:
    """A function of the source: what it takes, what its texts ask to be passed, and what it calls."""

    name: str
    module: str
    positional: list
    required: int  # of these, without a default
    arguments: set
    anything: bool  # takes **others
    public: bool
    asks: set = field(default_factory=set)
    calls: list = field(default_factory=list)  # ast.Call
    owner: str = ""  # the class of a method or constructor
    imported: frozenset = frozenset()  # names that its file imports
    beside: frozenset = frozenset()  # names of the methods that its file defines

    def may_be(self, call, caller):
        """Whether a call in `caller` can be one of this function, by its name, its place and the arguments it needs."""
        short = self.name.rpartition(".")[2]
        on = getattr(getattr(call.func, "value", None), "id", "")
        if "." in self.name and on.islower() and on in caller.imported:
            return False  # torch.save is no method of ours
        if "." in self.name and short in caller.beside and caller.module != self.module:
            return False
        if "." not in self.name and on in caller.imported - {self.module}:
            return False
        if "." not in self.name and caller.module != self.module:
            if not ({short, self.module} & caller.imported and on in ("", self.module)):
                return False  # a function of another name's module
        if _called(call) != short or (short.startswith("_") and caller.module != self.module):
            return False
        given = len(call.args) + len(call.keywords)
        return any(k.arg is None for k in call.keywords) or given >= self.required

    def given(self, call):
        """Return {argument: expression} of a call; None where it passes on a whole dict or list."""
        if any(k.arg is None for k in call.keywords) or any(
            isinstance(a, ast.Starred) for a in call.args
        ):
            return None
        return dict(zip(self.positional, call.args, strict=False)) | {
            k.arg: k.value for k in call.keywords
        }


def functions_of(folders, public):
    """Return the functions of all Python files below folders; methods also take what their class's constructor takes."""
    found = []
    for path in (path for folder in folders for path in sorted(Path(folder).rglob("*.py"))):
        tree = ast.parse(path.read_text())
        constants = {
            target.id: _asked(node.value)
            for node in tree.body
            if isinstance(node, ast.Assign)
            for target in node.targets
            if isinstance(target, ast.Name)
        }
        imported = frozenset(
            (alias.asname or alias.name).split(".")[0]
            for node in ast.walk(tree)
            if isinstance(node, ast.Import | ast.ImportFrom)
            for alias in node.names
        )
        methods = frozenset(
            one.name
            for node in tree.body
            if isinstance(node, ast.ClassDef)
            for one in node.body
            if isinstance(one, ast.FunctionDef)
        )
        for node in tree.body:
            if isinstance(node, ast.FunctionDef):
                own = [_function(node, node.name, path.stem, set(), constants, public)]
            elif isinstance(node, ast.ClassDef):
                own = _methods(node, path.stem, constants, public)
            else:
                continue
            for one in own:
                one.beside = methods
                one.imported, one.owner = (
                    imported,
                    getattr(node, "name", "") * isinstance(node, ast.ClassDef),
                )
            found += own
    return found


def complaints(functions):
    """Return who is told to pass an argument and cannot, and by whom."""
    found, calls = set(), {}  # {name that is called: [(caller, call)]}
    for caller in functions:
        for call in caller.calls:
            calls.setdefault(_called(call), []).append((caller, call))
    for function in functions:
        for name in function.asks:
            _follow(function, name, calls, found, (function.name,))
    return sorted(found)


def _called(call):
    return getattr(call.func, "attr", getattr(call.func, "id", ""))


def _follow(function, name, calls, found, way):
    """Go up from a function whose reader is told to pass `name`, and note each reader who cannot."""
    takes = name in function.arguments or function.anything
    if function.public and not takes:
        found.add(f"{function.name} is told to pass {name}= by {way[0]}, and has no such argument")
        return
    for caller, call in calls.get(function.name.rpartition(".")[2], ()):
        if caller.name in way or (function.owner and caller.owner == function.owner):
            continue
        if not function.may_be(call, caller):
            continue
        given = function.given(call)
        if not takes:
            _follow(caller, name, calls, found, (*way, caller.name))
        elif given is not None and name not in given and not function.anything:
            if not caller.public:  # what scripts and studies run looks after its own files
                continue
            found.add(f"{caller.name} calls {function.name}, whose remedy is {name}=, without it")
        elif given is not None and isinstance(given.get(name), ast.Name):
            if given[name].id in caller.arguments:
                _follow(caller, given[name].id, calls, found, (*way, caller.name))


def _methods(node, module, constants, public):
    own = [one for one in node.body if isinstance(one, ast.FunctionDef)]
    made_with = {name for one in own if one.name == "__init__" for name in _arguments(one)}
    made_with |= {
        one.target.id
        for one in node.body
        if isinstance(one, ast.AnnAssign) and isinstance(one.target, ast.Name)
    }
    return [
        _function(
            one,
            node.name if one.name == "__init__" else f"{node.name}.{one.name}",
            module,
            made_with,
            constants,
            public,
        )
        for one in own
        if one.name == "__init__" or not one.name.startswith("__")
    ]


def _function(node, name, module, made_with, constants, public):
    positional = [one.arg for one in (*node.args.posonlyargs, *node.args.args)]
    positional = positional[1:] if positional[:1] in (["self"], ["cls"]) else positional
    required = len(positional) - len(node.args.defaults)
    required += sum(default is None for default in node.args.kw_defaults)
    found = Function(
        name,
        module,
        positional,
        required,
        _arguments(node) | made_with,
        node.args.kwarg is not None,
        name.split(".")[0] in public,
    )
    doc = ast.get_docstring(node, clean=False)
    for inner in ast.walk(node):
        if isinstance(inner, ast.Constant) and isinstance(inner.value, str) and inner.value != doc:
            found.asks |= _names_in(inner.value)
        elif isinstance(inner, ast.Name) and inner.id in constants:
            found.asks |= constants[inner.id]
        elif isinstance(inner, ast.Call):
            found.calls.append(inner)
    return found


def _arguments(node):
    every = (*node.args.posonlyargs, *node.args.args, *node.args.kwonlyargs)
    return {one.arg for one in every}


def _asked(value):
    texts = (n.value for n in ast.walk(value) if isinstance(n, ast.Constant))
    return set().union(*(_names_in(text) for text in texts if isinstance(text, str)))


def _names_in(text):
    is_remedy = re.search(r"\b(?:pass|use|by|choose|allow)\b", text)
    return set(_NAMED.findall(_OF_ANOTHER.sub("", text))) if is_remedy else set()
