"""The pictures of the chosen images: found in a folder or fetched, and looked into before they are taken."""

from __future__ import annotations

import io
import warnings
from collections.abc import Mapping, Sequence
from pathlib import Path

from iamiou.errors import ImageError, InputError, Problem, ProblemsFound, group
from iamiou_builders.devkit import PICTURES
from iamiou_builders.disk import cannot_write, put, sha256_of
from iamiou_builders.fetch import Failure, Patience, Progress, Wanted, check_addresses, fetch
from iamiou_builders.model import Picture

#: Bytes of a COCO picture for each of its pixels, on average over 479 pictures of COCO 2017 (75,364,355 bytes and
#: 129,772,540 pixels); the annotations do not tell the size of the files.
BYTES_PER_PIXEL = 0.58
#: A picture of more bytes is none of COCO's.
MOST = 2**26


def expected_bytes(pictures: Sequence[Picture]) -> int:
    """Estimate the size of the pictures' files."""
    return round(BYTES_PER_PIXEL * sum(p.height * p.width for p in pictures))


def missing(pictures: Sequence[Picture], root: Path) -> list[Picture]:
    """Return the pictures that the devkit does not have yet."""
    return [p for p in pictures if not (root / PICTURES / p.file_name).is_file()]


def find(pictures: Sequence[Picture], folder: Path) -> dict[int, Path]:
    """Find pictures in a folder, or in its train2017 and val2017.

    Raises
    ------
    InputError
        If there is no such folder.
    ProblemsFound
        If pictures are missing.
    """
    if not folder.is_dir():
        raise InputError(f"There is no folder '{folder}' of pictures; correct --images, or leave it out to fetch them.")
    found: dict[int, Path] = {}
    for p in pictures:
        for place in (folder, folder / "val2017", folder / "train2017"):
            if (place / p.file_name).is_file():
                found[p.id] = place / p.file_name
                break
    lacking = tuple(p.file_name for p in pictures if p.id not in found)
    if lacking:
        what = f"chosen {'picture is' if len(lacking) == 1 else 'pictures are'} not in '{folder}'"
        hint = "Add them, or leave out --images to fetch all that were chosen."
        raise ProblemsFound([Problem("missing-picture", what, lacking, hint)])
    return found


def check_places(pictures: Sequence[Picture], folder: Path | None) -> None:
    """Refuse pictures that are not in the folder, or without one have no address, before anything is written."""
    if folder is not None:
        find(pictures, folder)
    elif unknown := tuple(p.file_name for p in pictures if not p.url):
        what, hint = "chosen pictures have no address", "Give them with --images, or image_url in the recipe."
        raise ProblemsFound([Problem("no-address", what, unknown, hint)])
    else:
        check_addresses([p.url for p in pictures])


def take(pictures: Sequence[Picture], folder: Path, root: Path, *, progress: Progress | None = None) -> None:
    """Copy pictures from a folder into the devkit, unless they are there already.

    Raises
    ------
    ProblemsFound
        With every picture that is missing, damaged or of another size than its annotations say.
    """
    found = find(pictures, folder)
    errors = []
    size = 0
    for done, p in enumerate(pictures, 1):
        try:
            data = found[p.id].read_bytes()
            check(data, p)
            put(root / PICTURES / p.file_name, data)
            size += len(data)
            if progress is not None:
                progress(done, len(pictures), size)
        except ImageError as e:
            errors.append(e)
        except OSError as e:
            what, hint = "pictures cannot be read", "Correct their permissions."
            errors.append(ImageError("unreadable-picture", what, p.file_name, e.strerror or str(e), hint))
    if errors:
        raise ProblemsFound(group(errors))


def download(
    pictures: Sequence[Picture],
    root: Path,
    checksums: Mapping[str, str],
    *,
    patience: Patience | None = None,
    progress: Progress | None = None,
) -> tuple[int, list[Failure]]:
    """Fetch pictures into the devkit, unless they are there already.

    Parameters
    ----------
    pictures : sequence of Picture
    root : Path
        The folder of the build.
    checksums : mapping of str to str
        sha256 of pictures, by image id, where they are known.
    patience, progress
        As in `iamiou_builders.fetch.fetch`.

    Returns
    -------
    transferred : int
        Bytes that came over the line.
    failed : list of Failure
        Pictures that could not be had, those included that are damaged.

    Raises
    ------
    ProblemsFound
        If a picture has another size than its annotations say.
    """
    place = root / PICTURES
    try:
        place.mkdir(parents=True, exist_ok=True)
    except OSError as e:
        raise cannot_write(place, e) from e
    wanted = [Wanted(p.url, place / p.file_name, None, checksums.get(p.name, ""), MOST) for p in pictures]
    done, failed = fetch(wanted, patience=patience, progress=progress)
    errors = []
    by_path = {place / p.file_name: p for p in pictures}
    for file in done:
        try:
            check(file.want.path.read_bytes(), by_path[file.want.path])
        except ImageError as e:
            if e.kind == "picture-size":
                errors.append(e)
            else:
                file.want.path.unlink()
                failed.append(Failure(file.want, f"what came is no picture: {e.detail}"))
    if errors:
        raise ProblemsFound(group(errors))
    return sum(f.transferred for f in done), failed


def check(data: bytes, picture: Picture) -> None:
    """Decode a picture and compare its size with that of its annotations.

    Raises
    ------
    ImageError
        Of kind "broken-picture" or "picture-size".
    """
    from PIL import Image

    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # odd metadata is no fault of the pixels
            with Image.open(io.BytesIO(data)) as image:
                size = image.height, image.width
                if size == (picture.height, picture.width):
                    image.load()
    except Exception as e:  # Pillow lets errors of many kinds through
        what, hint = "pictures cannot be decoded", "Copy or download them again."
        raise ImageError("broken-picture", what, picture.file_name, _first_line(e), hint) from e
    if size != (picture.height, picture.width):
        what = "pictures have another size than the annotations say"
        detail = f"{size[0]} x {size[1]}, annotated {picture.height} x {picture.width}"
        raise ImageError("picture-size", what, picture.file_name, detail, "Give the original pictures.")


def checksum(root: Path, picture: Picture) -> tuple[int, str]:
    """Return bytes and sha256 of a picture in the devkit."""
    path = root / PICTURES / picture.file_name
    return path.stat().st_size, sha256_of(path)


def _first_line(error: Exception) -> str:
    """Leave out the address of the buffer that Pillow names."""
    text = str(error).partition("\n")[0]
    return "no picture format is known for it" if "cannot identify" in text else text
