"""The docs name every command and every option, and none that does not exist."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import click
import pytest

from iamiou.cli import cli

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "cli.md").read_text(encoding="utf-8")
TEXTS = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]


def walk(command: click.Command, context: click.Context, path: str) -> dict[str, click.Command]:
    """Return all commands below a group, by their full name."""
    if not isinstance(command, click.Group):
        return {path: command}
    found = {}
    for name in command.list_commands(context):
        child = command.get_command(context, name)
        found |= walk(child, click.Context(child, context, name), f"{path} {name}")
    return found


COMMANDS = walk(cli, click.Context(cli, info_name="iamiou"), "iamiou")
#: Options that several commands share stand in one place.
SHARED = PAGE.partition("## What all commands read")[2].partition("\n## ")[0]


def section(name: str) -> str:
    """Return what the page says under the heading of a command."""
    _, found, rest = PAGE.partition(f"\n## {name}\n")
    assert found, f"docs/cli.md has no section '## {name}'; write one"
    return rest.partition("\n## ")[0]


def options_of(command: click.Command) -> list[click.Option]:
    return [p for p in command.params if isinstance(p, click.Option)]


def borrowed(text: str) -> dict[str, str]:
    """Return the rows that a section takes over from another place."""
    shared = rows(SHARED) if "What all commands read" in text or "all options above" in text else {}
    for name in re.findall(r"all options of \[`(iamiou [\w -]+)`\]", text):
        shared |= rows(section(name))
    return shared


def rows(text: str) -> dict[str, str]:
    """Return the rows of option tables: the option's long name and the whole row."""
    return {found[1]: found[0] for found in re.finditer(r"^\| `(--[\w-]+)[^|]*(?:\\\|[^|]*)*\|.*$", text, re.MULTILINE)}


def test_the_page_has_no_command_that_does_not_exist():
    headings = re.findall(r"^## (iamiou .*)$", PAGE, re.MULTILINE)
    assert sorted(headings) == sorted(COMMANDS)
    for name in COMMANDS:
        assert f"- [`{name}`](#{name.replace(' ', '-')}): " in PAGE


@pytest.mark.parametrize("name", COMMANDS)
def test_every_option_is_documented_and_no_other(name):
    text, options = section(name), options_of(COMMANDS[name])
    shared = borrowed(text)
    documented = rows(text) | shared
    expected = {opt for option in options for opt in option.opts if opt.startswith("--")}
    assert set(documented) == expected
    assert not set(rows(text)) & set(shared), "an option stands twice"


@pytest.mark.parametrize("name", COMMANDS)
def test_choices_and_defaults_are_documented(name):
    documented = rows(SHARED) | borrowed(section(name)) | rows(section(name))
    for option in options_of(COMMANDS[name]):
        row = documented[option.opts[0]].replace("\\|", "|")
        if isinstance(option.type, click.Choice):
            assert f"`{option.opts[0]} {'|'.join(option.type.choices)}`" in row
        elif not option.is_flag:
            assert f"`{option.opts[0]} {option.metavar}`" in row
        default = COMMANDS[name].to_info_dict(click.Context(COMMANDS[name]))["params"]
        default = next(p["default"] for p in default if p["name"] == option.name)
        if isinstance(default, str | int | float) and not option.is_flag:
            power = f"2^{default.bit_length() - 1}" if default in (2**24, 2**30) else ""
            shown = default if isinstance(default, str) else power or f"{default:g}"
            assert f"default {shown}" in row, row


@pytest.mark.parametrize("name", COMMANDS)
def test_usage_lines_are_those_of_the_command(name):
    command = COMMANDS[name]
    usage = " ".join(command.collect_usage_pieces(click.Context(command, info_name=name)))
    assert f"\n    {name} {usage}\n" in section(name)


def commands_in(text: str) -> list[str]:
    """Return the command lines of a page's console blocks."""
    blocks = re.findall(r"^```console\n(.*?)^```", text, re.MULTILINE | re.DOTALL)
    lines = [line[2:] for block in blocks for line in block.splitlines() if line.startswith("$ ")]
    parts = [part.strip() for line in lines for part in line.split("&&")]
    return [part for part in parts if part.startswith("iamiou ")]


@pytest.mark.parametrize("page", TEXTS, ids=lambda p: p.name)
def test_examples_are_well_formed(page):
    for line in commands_in(page.read_text(encoding="utf-8")):
        words = shlex.split(line.partition(" > ")[0], comments=True)[1:]
        depth = next(k for k in range(len(words), -1, -1) if " ".join(["iamiou", *words[:k]]) in COMMANDS)
        command = COMMANDS[" ".join(["iamiou", *words[:depth]])]
        command.make_context(words[depth - 1], words[depth:])  # a wrong option or a missing argument raises


@pytest.mark.parametrize("page", TEXTS, ids=lambda p: p.name)
def test_no_page_names_an_option_that_does_not_exist(page):
    known = {opt for command in COMMANDS.values() for option in options_of(command) for opt in option.opts}
    known |= {"--help", "--version"}
    page_text = page.read_text(encoding="utf-8")
    known |= {
        o for line in re.findall(r"^\$ (?!iamiou ).*$", page_text, re.M) for o in re.findall(r"--[a-z][\w-]*", line)
    }
    text = re.sub(r"^```console\n.*?^```", "", page_text, flags=re.MULTILINE | re.DOTALL)
    named = set(re.findall(r"`[^`\n]*?(--[a-z][\w-]*)", text))
    assert named <= known


def test_exit_codes_are_those_of_the_errors():
    from iamiou import errors

    codes = {int(code) for code in re.findall(r"^\| (\d+) \|", PAGE, re.MULTILINE)}
    assert codes == {0, 130, 141} | {
        e.exit_code for e in vars(errors).values() if isinstance(e, type) and issubclass(e, errors.IamiouError)
    }


def test_links_lead_somewhere():
    for page in TEXTS:
        text = page.read_text(encoding="utf-8")
        anchors = {re.sub(r"[^\w\- ]", "", h.lower()).replace(" ", "-") for h in re.findall(r"^#+ (.*)$", text, re.M)}
        for target in re.findall(r"\]\(([^)\s]+)\)", text):
            if target.startswith("#"):
                assert target[1:] in anchors, f"{page.name}: {target}"
            elif "://" not in target:
                assert (page.parent / target.partition("#")[0]).exists(), f"{page.name}: {target}"
