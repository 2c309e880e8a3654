"""DATASHEET.md, made from the facts of the build."""

from __future__ import annotations

from iamiou import __version__
from iamiou_builders.facts import Facts
from iamiou_builders.lists import list_digest
from iamiou_builders.report import less_words, licence_rows, size_rows, templates
from iamiou_builders.stats import statistics


def datasheet(facts: Facts) -> bytes:
    """Return the datasheet as Markdown."""
    stats = statistics(facts)
    template = templates(escaped=False).get_template("DATASHEET.md.jinja")
    page = template.render(
        facts=facts,
        recipe=facts.recipe,
        stats=stats,
        tool=__version__,
        sizes=size_rows(facts),
        licences=licence_rows(stats),
        less=less_words(facts, stats),
        list_digest=list_digest([image.name for image in facts.images]),
        command="build-pascal-b" if facts.recipe.name == "pascal-b" else "build",
    )
    return (page.rstrip() + "\n").encode()
