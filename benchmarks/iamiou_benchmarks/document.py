"""Put the tables of the committed results into a document: ``python -m iamiou_benchmarks.document docs/baselines.md``.

What stands between ``<!-- table NAME -->`` and ``<!-- end -->`` is made anew by ``iamiou bench table NAME``; below
``<!-- trials NAME -->`` stand the trials in ``results/dev/NAME.json``, which ``iamiou bench tune`` has written; below
``<!-- costs NAME -->`` what the stages of those runs took, by results of a quiet machine in ``results/cost``; below
``<!-- walks walks -->`` what the random walks took; below ``<!-- claim NAME -->`` what ``claims/NAME.py`` says of
``results/claims/NAME.json``, which ``iamiou bench claim NAME`` has written.
"""

from __future__ import annotations

import json
import re
from pathlib import Path

from iamiou.errors import InputError
from iamiou_benchmarks.claims import claim_lines
from iamiou_benchmarks.costs import cost_lines, walk_lines
from iamiou_benchmarks.running.tune import lines_of
from iamiou_benchmarks.tables.results import RESULTS, make_table, markdown, read_results

_BLOCK = re.compile(r"(<!-- (table|trials|costs|walks|claim) (\S+) -->\n)(.*?)(<!-- end -->)", re.DOTALL)


def renewed(text: str, results: Path = RESULTS) -> str:
    """Return a document with its tables made anew.

    Raises
    ------
    InputError
        If a table has no end, or there is no result for it.

    Examples
    --------
    >>> renewed("No table here.")
    'No table here.'
    """

    def block(found: re.Match[str]) -> str:
        if found[2] == "table":
            made = make_table(found[3], results, "markdown")
        elif found[2] == "costs":
            made = "\n".join([*cost_lines(read_results(results / "cost"), found[3]), ""])
        elif found[2] == "claim":
            made = "\n".join([*claim_lines(found[3], results), ""])
        else:
            record = json.loads((results / "dev" / f"{found[3]}.json").read_text(encoding="utf-8"))
            lines = walk_lines(record) if found[2] == "walks" else markdown(lines_of(record))
            made = "\n".join([*lines, ""])
        return f"{found[1]}\n{made}\n{found[5]}"

    begun = re.findall(r"<!-- (?:table|trials|costs|walks|claim) (\S+) -->", text)
    if len(begun) != len(_BLOCK.findall(text)):
        raise InputError(f"A table has no end, perhaps '{begun[-1]}'; write <!-- end --> below each table.")
    return _BLOCK.sub(block, text)


if __name__ == "__main__":
    import sys

    for name in sys.argv[1:]:
        path = Path(name)
        path.write_text(renewed(path.read_text(encoding="utf-8")), encoding="utf-8")
