"""Every program in a virtual environment of its own, so that no peer's pins or plug-ins touch another.

iamiou is built to a wheel and installed from it, once alone (no SciPy: Numba would import it at start-up) for
whole processes, once beside cc3d for what is timed side by side inside one process.
"""

from __future__ import annotations

import hashlib
import subprocess
import sys
from pathlib import Path

CHECKOUT = Path(__file__).resolve().parents[2]
PEERS = {
    "iamiou": [],
    "arrays": ["connected-components-3d==4.1.1"],
    "hotcoco": ["hotcoco==1.3.0"],
}


def prepare(work: Path) -> dict[str, Path]:
    """Return the folder of programs (bin) of every environment; make what is missing or out of date."""
    wheel, digest = build_wheel(work / "wheel")
    programs = {}
    for name, packages in PEERS.items():
        folder = work / f"venv-{name}"
        wanted = packages if name == "hotcoco" else [*packages, str(wheel)]
        stamp = folder / "installed.txt"
        made_from = "\n".join([*packages, digest if name != "hotcoco" else ""])
        if not stamp.exists() or stamp.read_text() != made_from:
            print(f"preparing the environment {name}", file=sys.stderr, flush=True)
            if not (folder / "bin" / "python").exists():
                quiet(sys.executable, "-m", "venv", folder)
            pip = (folder / "bin" / "python", "-m", "pip", "install", "--disable-pip-version-check")
            quiet(*pip, *wanted)
            if name != "hotcoco":  # the version did not change with the sources
                quiet(*pip, "--force-reinstall", "--no-deps", wheel)
            stamp.write_text(made_from)
        programs[name] = folder / "bin"
    if any((programs["iamiou"].parent / "lib").glob("python*/site-packages/scipy")):
        raise SystemExit("The environment of iamiou holds SciPy; remove it: Numba imports it at start-up.")
    return programs


def build_wheel(folder: Path) -> tuple[Path, str]:
    """Build the wheel of the checkout unless one of the same sources is there; return it and their digest."""
    digest = hashlib.sha256()
    for path in [CHECKOUT / "pyproject.toml", *sorted((CHECKOUT / "iamiou").rglob("*"))]:
        if path.is_file() and "__pycache__" not in path.parts:
            digest.update(path.relative_to(CHECKOUT).as_posix().encode() + path.read_bytes())
    target = folder / digest.hexdigest()[:16]
    if not list(target.glob("*.whl")):
        print("building the wheel", file=sys.stderr, flush=True)
        quiet(sys.executable, "-m", "pip", "wheel", "--no-deps", "--wheel-dir", target, CHECKOUT)
    return next(target.glob("*.whl")), digest.hexdigest()


def quiet(*command: str | Path) -> None:
    """Run a command; show what it said only when it fails."""
    done = subprocess.run([str(part) for part in command], capture_output=True, text=True, check=False)
    if done.returncode:
        raise SystemExit(f"{' '.join(map(str, command))} failed:\n{done.stdout}{done.stderr}")
