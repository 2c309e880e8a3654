"""``iamiou convert``: masks in colours, label maps and arrays to label maps that can be scored."""

from __future__ import annotations

import click


@click.command()
@click.argument("source", metavar="IN", type=click.Path())
@click.argument("target", metavar="OUT", type=click.Path())
@click.option(
    "--palette",
    metavar="FILE",
    type=click.Path(),
    help="Colours by lines of 'label red green blue'.  [default: VOC's palette]",
)
@click.option("--nearest", is_flag=True, help="Give a colour that is not in the palette the label of the nearest one.")
@click.option("--by-colour", is_flag=True, help="Read palette PNGs by their colours, not by their numbers.")
@click.option("--overwrite", is_flag=True, help="Replace OUT if it is there already.")
def convert(source: str, target: str, palette: str | None, nearest: bool, by_colour: bool, overwrite: bool) -> None:
    """Convert masks in colours to label maps.

    IN is a PNG or .npy file or a folder of them. RGB and RGBA images are looked up in VOC's palette, whose
    border colour becomes void; label maps keep their labels. OUT (a .png file, or a folder) gets 8-bit palette
    PNGs, 16-bit grey where labels need it, and appears only when everything went well.

    Arrays of Python objects in .npy are refused: to read them is to run what they hold. Save the label map
    itself, with numpy.save(path, labels).
    """
    import sys
    from collections.abc import Iterable, Sequence

    from rich.console import Console
    from rich.progress import track

    import iamiou.convert as library
    from iamiou.palettes import load_palette

    def bar(jobs: Sequence[library.Job]) -> Iterable[library.Job]:
        console = Console(stderr=True)
        return track(jobs, "Converting", console=console, transient=True, disable=not sys.stderr.isatty())

    done = library.convert(
        source,
        target,
        palette=load_palette(palette) if palette else None,
        nearest=nearest,
        by_colour=by_colour,
        overwrite=overwrite,
        progress=bar,
    )
    click.echo(done.sentence(target))
