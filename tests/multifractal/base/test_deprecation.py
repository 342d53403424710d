"""Old names work, and say which name is new."""

import importlib
import inspect
import sys
import types

import pytest

from multifractal.base.deprecation import FormerName, renamed, renamed_names


@renamed(seed="rng", goes="1.2")
def draw(n, *, rng=0):
    """Return its arguments."""
    return n, rng


def test_an_old_argument_is_accepted_with_a_warning():
    """The old name arrives under the new one; the warning names both and points at the caller; signatures show the new."""
    with pytest.warns(DeprecationWarning, match=r"'seed' of draw\(\) is now 'rng'.*1\.2") as caught:
        assert draw(1, seed=5) == (1, 5)
    assert caught[0].filename == __file__
    assert list(inspect.signature(draw).parameters) == ["n", "rng"]
    assert draw.__doc__ == "Return its arguments."


@pytest.mark.filterwarnings("error")
def test_the_new_argument_does_not_warn():
    """Who uses the new name, or neither, hears nothing."""
    assert (draw(1, rng=5), draw(1)) == ((1, 5), (1, 0))


def test_both_names_at_once_are_refused():
    """Two values for one argument are a mistake, whichever is meant."""
    with pytest.raises(TypeError, match="'rng' and also 'seed'"):
        draw(1, seed=5, rng=5)


def test_an_old_name_in_a_module_gives_the_new_object():
    """A class under its old name is the class itself, so that isinstance holds; unknown names stay unknown."""
    module = types.ModuleType("some_module")
    module.New = type("New", (), {})
    sys.modules["some_module"] = module
    try:
        module.__getattr__ = renamed_names("some_module", Old="New", Dumps="json:dumps")
        with pytest.warns(DeprecationWarning, match="some_module.Old is now some_module.New") as w:
            assert module.Old is module.New
        assert w[0].filename == __file__
        with pytest.warns(DeprecationWarning, match="is now json.dumps"):
            assert module.Dumps(1) == "1"
        with pytest.raises(AttributeError, match="no attribute 'other'"):
            module.other  # noqa: B018
        module.__getattr__ = renamed_names("some_module", otherwise=str.upper, Old="New")
        assert module.other == "OTHER"
    finally:
        del sys.modules["some_module"]


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("multifractal.figures.real_multifractality", "multifractal.figures.section_study"),
        ("landscape_viz.probe_figures", "landscape_viz.figures.probes"),
    ],
)
def test_an_old_module_is_the_new_one(old, new):
    """Importing the old name warns where it is imported and gives the new module."""
    sys.modules.pop(old, None)
    with pytest.warns(DeprecationWarning, match=f"{old} is now {new}"):
        found = importlib.import_module(old)
    assert found is importlib.import_module(new)


@pytest.mark.parametrize(
    ("package", "old", "new"),
    [
        ("multifractal", "TrainingRun", "FullBatchRun"),
        ("landscape_viz", "TrainingRun", "TrainingHistory"),
        ("landscape_viz", "Path", "NetworkPath"),
    ],
)
def test_old_public_names_are_the_new_ones(package, old, new):
    """A public class under its former name is the class itself, and warns."""
    module = importlib.import_module(package)
    with pytest.warns(DeprecationWarning, match=f"{package}.{old} is now {package}.{new}"):
        assert getattr(module, old) is getattr(module, new)


def test_an_old_attribute_gives_the_new_one():
    """The old name of an attribute reads the new one, with a warning at the line that asks for it."""

    class Path:
        learning_rate = 3.0
        eta = FormerName("learning_rate")

    with pytest.warns(DeprecationWarning, match=r"Path\.eta is now learning_rate") as caught:
        assert Path().eta == 3.0
    assert caught[0].filename == __file__
