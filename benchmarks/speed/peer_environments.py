"""Every peer in a virtual environment of its own, from the versions in peers.txt; one that cannot be had is named."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path

from environments import prepare

PINS = Path(__file__).with_name("peers.txt")


@dataclass(frozen=True)
class Peers:
    """The Python of every environment that could be made, and why the others could not."""

    pythons: dict[str, Path]
    missing: dict[str, str] = field(default_factory=dict)

    def program(self, environment: str, name: str) -> Path:
        return self.pythons[environment].with_name(name)


def pins() -> dict[str, list[str]]:
    """Return the packages of every environment."""
    lines = [line for line in PINS.read_text().splitlines() if line and not line.startswith("#")]
    return {name: packages.split() for name, _, packages in (line.partition(": ") for line in lines)}


def versions() -> str:
    """Name the peers' versions, as the table shows them."""
    return ", ".join(version(name) for name in pins())


def version(environment: str) -> str:
    """Name the package that an environment is for; it has the environment's name, or stands first."""
    packages = pins()[environment]
    named = [p for p in packages if p.lower().startswith(f"{environment}==")]
    return (named or packages)[0].replace("==", " ")


def install(work: Path, only: set[str] | None = None) -> Peers:
    """Make what is missing or out of date; never fail for a peer."""
    pythons, missing = {}, {}
    if only is None or "iamiou" in only:
        pythons["iamiou"] = prepare(work)["iamiou"] / "python"
    for name, packages in pins().items():
        if only is not None and name not in only:
            continue
        folder = work / "peers" / name
        stamp, python = folder / "installed.txt", folder / "bin" / "python"
        if not stamp.exists() or stamp.read_text() != "\n".join(packages):
            print(f"preparing the environment {name}", file=sys.stderr, flush=True)
            if fault := fill(folder, packages):
                print(f"cannot install {name}: {fault}", file=sys.stderr, flush=True)
                missing[name] = fault
                continue
            stamp.write_text("\n".join(packages))
        pythons[name] = python
    return Peers(pythons, missing)


def fill(folder: Path, packages: list[str]) -> str:
    """Install into a virtual environment; return what went wrong, in one line."""
    for command in (
        [sys.executable, "-m", "venv", folder],
        [folder / "bin" / "python", "-m", "pip", "install", "--disable-pip-version-check", "--quiet", *packages],
    ):
        done = subprocess.run([str(part) for part in command], capture_output=True, text=True, check=False)
        if done.returncode:
            errors = [line for line in done.stderr.splitlines() if line.startswith("ERROR")]
            return (errors or done.stderr.splitlines() or ["no reason given"])[-1].removeprefix("ERROR: ")[:200]
    return ""
