"""The public names: cheap to import, listed, documented, and each with an example."""

from __future__ import annotations

import ast
import inspect
import subprocess
import sys
from pathlib import Path

import pytest

import iamiou

#: What `import iamiou` must not load: all of it takes longer than the import itself.
HEAVY = (
    "numpy",
    "numba",
    "llvmlite",
    "pandas",
    "matplotlib",
    "PIL",
    "pycocotools",
    "rich",
    "jinja2",
    "scipy",
    "torch",
    "torchmetrics",
)
FUNCTIONS = [name for name in iamiou.__all__ if inspect.isfunction(getattr(iamiou, name))]
CLASSES = [name for name in iamiou.__all__ if inspect.isclass(getattr(iamiou, name))]
PACKAGE = Path(iamiou.__file__).parent
SOURCES = sorted(PACKAGE.rglob("*.py"))


def loaded_after(code: str) -> set[str]:
    """Run code in a fresh interpreter and return the heavy modules that it loaded."""
    script = f"import sys\n{code}\nprint(*sorted(set({HEAVY!r}) & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    return set(done.stdout.split())


def test_importing_iamiou_loads_nothing_heavy():
    assert loaded_after("import iamiou\ndir(iamiou)\niamiou.__version__") == set()


def test_errors_and_class_lists_load_nothing_heavy():
    assert loaded_after("import iamiou\niamiou.InputError\niamiou.load_classes('voc')") == set()


def test_a_public_name_brings_in_no_more_than_it_needs():
    assert "numba" not in loaded_after("import iamiou\niamiou.Counts")


@pytest.mark.parametrize("name", iamiou.__all__)
def test_every_public_name_resolves_and_is_listed(name):
    assert getattr(iamiou, name) is not None
    assert name in dir(iamiou)


def test_a_name_that_does_not_exist_is_an_attribute_error():
    with pytest.raises(AttributeError, match="'iamiou' has no attribute 'scroe'"):
        _ = iamiou.scroe


@pytest.mark.parametrize("name", FUNCTIONS + CLASSES)
def test_every_public_name_is_documented(name):
    doc = inspect.getdoc(getattr(iamiou, name))
    assert doc
    first = doc.splitlines()[0]
    assert first.endswith(".")
    assert len(first) <= 110


@pytest.mark.parametrize("name", FUNCTIONS)
def test_every_public_function_shows_an_example_and_all_its_parameters(name):
    function = getattr(iamiou, name)
    doc = inspect.getdoc(function)
    assert ">>>" in doc
    section = doc.split("Parameters\n----------\n")[1].split("\n\n")[0]
    heads = [line.split(" : ")[0] for line in section.splitlines() if not line.startswith(" ")]
    described = {name.strip(" *") for head in heads for name in head.split(",")}
    assert set(inspect.signature(function).parameters) == described


def public_functions(source: Path) -> list[ast.FunctionDef]:
    """Return the public functions at the top of a module."""
    tree = ast.parse(source.read_text(encoding="utf-8"))
    return [n for n in tree.body if isinstance(n, ast.FunctionDef) and not n.name.startswith("_")]


@pytest.mark.parametrize("source", SOURCES, ids=lambda p: p.relative_to(PACKAGE).as_posix())
def test_every_module_and_every_function_in_it_says_what_it_does(source):
    assert ast.get_docstring(ast.parse(source.read_text(encoding="utf-8")))
    bare = [f.name for f in public_functions(source) if not ast.get_docstring(f)]
    assert bare == []


def test_the_package_is_typed():
    assert (PACKAGE / "py.typed").exists()
