"""Run files: a data set and a method a stage, in TOML; every mistake in one is named, with what was meant."""

from __future__ import annotations

import ast
import pkgutil
import tomllib
from collections.abc import Iterable, Mapping
from dataclasses import MISSING, dataclass, fields
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from types import ModuleType
from typing import Any, TypeVar, get_type_hints

from iamiou.errors import InputError, near_miss
from iamiou_benchmarks.datasets.data import DataOptions

T = TypeVar("T")
RUNS = Path(__file__).parents[1] / "runs"


@dataclass(frozen=True)
class Stage:
    """One stage of a run: its name, its method, the stages that it takes, and the method's options."""

    name: str
    method: str
    inputs: tuple[str, ...]
    options: Any

    @property
    def module(self) -> ModuleType:
        """The method's module."""
        return load_method(self.method)


@dataclass(frozen=True)
class Run:
    """A run file: what it is about, the data, and the stages in the order in which they run."""

    name: str
    about: str
    data: DataOptions
    stages: tuple[Stage, ...]

    def stage(self, name: str) -> Stage:
        """Return a stage by its name.

        Raises
        ------
        InputError
            If there is none.
        """
        names = [s.name for s in self.stages]
        if name not in names:
            raise InputError(f"The run '{self.name}' has no stage '{name}'. {near_miss(name, names)}")
        return self.stages[names.index(name)]


def list_runs() -> list[str]:
    """Return the names of the run files that come with iamiou; those that start with _ are only built upon."""
    return sorted(p.stem for p in RUNS.glob("[!_]*.toml"))


def load_run(name: str, changes: Iterable[str] = ()) -> Run:
    """Read a run file.

    Parameters
    ----------
    name : str
        The name of one that comes with iamiou, or the path of a .toml file.
    changes : iterable of str
        ``"stage.option=value"`` or ``"data.option=value"``, the value as in TOML or plain text.

    Raises
    ------
    InputError
        If it cannot be read, or has a key, a method or a value that is none.

    Examples
    --------
    >>> [stage.name for stage in load_run("shapes-tiny-cam-sb").stages]
    ['classifier', 'cam', 'pseudo', 'segment', 'predict']
    >>> load_run("shapes-tiny-cam-sb", ["segment.tua=3"])
    Traceback (most recent call last):
    ...
    iamiou.errors.InputError: ... has no option 'tua'. Did you mean 'tau'?
    """
    table = _read(name, ())
    for change in changes:
        _change(table, change)
    where = f"The run file '{name}'"
    if unknown := [key for key in table if key not in ("about", "data", "stages")]:
        raise InputError(f"{where} has no use for '{unknown[0]}'. {near_miss(unknown[0], ['about', 'data', 'stages'])}")
    stages = table.get("stages", {})
    if not isinstance(stages, dict) or not stages or not all(isinstance(s, dict) for s in stages.values()):
        raise InputError(f"{where} names no stages; it needs tables like [stages.classifier].")
    data = build(DataOptions, table.get("data", {}), f"{where}, data")
    made = [_stage(key, entry, f"{where}, stage {key}") for key, entry in stages.items()]
    return Run(Path(name).stem, str(table.get("about", "")), data, _in_order(made, where))


def build(kind: type[T], table: Mapping[str, Any], where: str) -> T:
    """Make a dataclass of options out of a table; wrong keys and wrong types are refused.

    Examples
    --------
    >>> build(DataOptions, {"preset": "small"}, "The run file").preset
    'small'
    >>> build(DataOptions, {"presett": "small"}, "The run file")
    Traceback (most recent call last):
    ...
    iamiou.errors.InputError: The run file has no option 'presett'. Did you mean 'preset'?
    """
    hints, values = get_type_hints(kind), {}
    known = [f.name for f in fields(kind)]  # type: ignore[arg-type]  # kind is a dataclass
    for key, value in table.items():
        name = key if key in known else f"{key}_"  # lambda is a word of Python
        if name not in known:
            raise InputError(f"{where} has no option '{key}'. {near_miss(key, [k.rstrip('_') for k in known])}")
        values[name] = _typed(value, hints[name], f"{where}: '{key}'")
    for f in fields(kind):  # type: ignore[arg-type]  # every method has a dataclass
        if f.default is MISSING and f.default_factory is MISSING and f.name not in values:
            raise InputError(f"{where} lacks the option '{f.name}'.")
    return kind(**values)


def load_method(name: str) -> ModuleType:
    """Import a method: one of iamiou_benchmarks.methods, or a module of somebody else by its dotted name.

    A method is a module with ``Options`` (a frozen dataclass), ``INPUTS`` (the stages that it takes by default),
    ``VERSION`` (to be raised when its results change) and ``run(work, options)``. To import a module is to run it, so
    somebody else's is imported only where its source defines these four, and nothing is looked for beside a run file.

    Raises
    ------
    InputError
        If there is no such module, or it lacks one of them.
    """
    from iamiou_benchmarks import methods

    known = sorted(m.name.replace("_", "-") for m in pkgutil.iter_modules(methods.__path__))
    try:
        if "." in name:
            _check_parts(name, _names_in(name))
            module = import_module(name)
        elif name in known:
            module = import_module(f"iamiou_benchmarks.methods.{name.replace('-', '_')}")
        else:
            raise InputError(f"There is no method '{name}'. {near_miss(name, known)}")
    except ModuleNotFoundError as e:
        if e.name == "torch":
            raise InputError("The baselines need PyTorch; type: pip install 'iamiou[baselines]'") from e
        hint = "install its package, or name its folder in PYTHONPATH"
        raise InputError(f"The method '{name}' cannot be imported ({e}); {hint}.") from e
    _check_parts(name, vars(module))
    return module


def _check_parts(name: str, there: Iterable[str]) -> None:
    if lacks := [part for part in ("Options", "INPUTS", "VERSION", "run") if part not in there]:
        raise InputError(f"The module '{name}' is no method: it has no {', '.join(lacks)}.")


def _names_in(name: str) -> set[str]:
    """Return what the source of a module defines at its top, without running it; nothing where there is no source."""
    try:
        spec = find_spec(name)
    except ValueError:  # of modules that came without one
        spec = None
    if spec is None:
        raise ModuleNotFoundError(f"No module named '{name}'", name=name)
    path = Path(spec.origin or "")
    if path.suffix != ".py":
        return set()
    try:
        body = ast.parse(path.read_bytes()).body
    except (SyntaxError, ValueError) as e:
        raise InputError(f"The method '{name}' cannot be read: {e}") from e
    found = {node.name for node in body if isinstance(node, ast.FunctionDef | ast.ClassDef)}
    for node in body:
        targets = node.targets if isinstance(node, ast.Assign) else [getattr(node, "target", None)]
        found |= {target.id for target in targets if isinstance(target, ast.Name)}
    return found


def _read(name: str, above: tuple[str, ...]) -> dict[str, Any]:
    """Read a file and what it is built upon (``like``)."""
    path = Path(name) if name.endswith(".toml") else RUNS / f"{name}.toml"
    try:
        table = tomllib.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError as e:
        hint = "Give a name or the path of a file." if name.endswith(".toml") else near_miss(name, list_runs())
        raise InputError(f"There is no run '{name}'. {hint}") from e
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as e:
        raise InputError(f"The run file '{path}' cannot be read: {e}") from e
    below = table.pop("like", None)
    if below is None:
        return table
    if below in above:
        raise InputError(f"The run files {', '.join([*above, below])} are built upon each other in a circle.")
    return _merged(_read(str(below), (*above, str(below))), table)


def _merged(below: dict[str, Any], above: dict[str, Any]) -> dict[str, Any]:
    both = {k for k in below.keys() & above.keys() if isinstance(below[k], dict) and isinstance(above[k], dict)}
    return below | above | {k: _merged(below[k], above[k]) for k in both}


def _change(table: dict[str, Any], change: str) -> None:
    path, sign, text = change.partition("=")
    parts = path.strip().split(".")
    if not sign or len(parts) < 2:
        raise InputError(f"'{change}' changes nothing; write stage.option=value, like segment.tau=5.")
    try:
        value = tomllib.loads(f"value = {text}")["value"]
    except tomllib.TOMLDecodeError:
        value = text.strip()
    if parts[0] not in ("data", "stages"):
        if parts[0] not in table.get("stages", {}):
            raise InputError(
                f"There is no stage '{parts[0]}' to change. {near_miss(parts[0], table.get('stages', {}))}"
            )
        parts.insert(0, "stages")
    for part in parts[:-1]:
        table = table.setdefault(part, {})
    table[parts[-1]] = value


def _stage(name: str, table: dict[str, Any], where: str) -> Stage:
    table = dict(table)
    method = str(table.pop("method", name))
    module = load_method(method)
    inputs = table.pop("inputs", list(module.INPUTS))
    if not isinstance(inputs, list) or not all(isinstance(i, str) for i in inputs):
        raise InputError(f"{where}: 'inputs' is a list of names of stages.")
    return Stage(name, method, tuple(inputs), build(module.Options, table, where))


def _in_order(stages: list[Stage], where: str) -> tuple[Stage, ...]:
    """Sort the stages so that each comes after those that it takes; else as they stand."""
    names = [s.name for s in stages]
    done: list[Stage] = []
    for s in stages:
        for other in s.inputs:
            if other not in names:
                raise InputError(
                    f"{where}: stage {s.name} takes '{other}', which is no stage. {near_miss(other, names)}"
                )
    while len(done) < len(stages):
        ready = {s.name for s in done}
        free = [s for s in stages if s.name not in ready and ready.issuperset(s.inputs)]
        if not free:
            rest = ", ".join(n for n in names if n not in ready)
            raise InputError(f"{where}: the stages {rest} take each other in a circle.")
        done.append(free[0])
    return tuple(done)


def _typed(value: Any, hint: Any, where: str) -> Any:
    """Hold a value of TOML against a type: bool, int, float, str, dict, or tuples of these."""
    text = str(hint)
    if text.startswith("tuple"):
        if not isinstance(value, list):
            raise InputError(f"{where} is {value!r}; it is a list.")
        inner = hint.__args__[0]
        return tuple(_typed(v, inner, where) for v in value)
    if text.startswith("dict"):
        if not isinstance(value, dict):
            raise InputError(f"{where} is {value!r}; it is a table.")
        return value
    if hint is float and type(value) is int:
        return float(value)
    if type(value) is not hint:
        names = {bool: "true or false", int: "a whole number", float: "a number", str: "a text"}
        raise InputError(f"{where} is {value!r}; it is {names.get(hint, text)}.")
    return value
