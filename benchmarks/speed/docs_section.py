"""Replace one part of a Markdown file that a command makes, and leave the rest as it stands."""

from __future__ import annotations

from pathlib import Path


def replace(path: Path, name: str, text: str) -> None:
    """Put the text between the marks of this name; without marks, at the end of the file."""
    start, end = f"<!-- begin {name}: made by benchmarks/speed/{name}.py -->", f"<!-- end {name} -->"
    old = path.read_text(encoding="utf-8") if path.exists() else ""
    part = f"{start}\n{text.strip()}\n{end}"
    if start in old and end in old:
        before, _, rest = old.partition(start)
        after = rest.partition(end)[2]
        new = before + part + after
    else:
        new = f"{old.rstrip()}\n\n{part}\n".lstrip()
    path.write_text(new, encoding="utf-8")
