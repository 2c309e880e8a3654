"""ATTRIBUTION.csv: whose picture it is and on what terms."""

from __future__ import annotations

import csv
import io
import re

from iamiou_builders.facts import Facts
from iamiou_builders.licences import licence

COLUMNS = ("image", "file", "licence_id", "licence", "licence_url", "author_page", "picture_url", "coco_url", "changes")


def attribution(facts: Facts) -> bytes:
    """Return one row an image, sorted by id, as UTF-8 CSV."""
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(COLUMNS)
    for image in facts.images:
        p = image.resolved.picture
        terms = licence(p.license)
        number = "" if p.license is None else p.license
        page = author_page(p.page)
        writer.writerow([p.name, p.file_name, number, terms.name, terms.url, page, p.page, p.url, "none"])
    return out.getvalue().encode()


def author_page(address: str) -> str:
    """Return the page of the photograph, from which Flickr leads to the author.

    COCO's ``flickr_url`` is the address of the JPEG on Flickr's servers; the photograph's number is in it.

    >>> author_page("http://farm4.staticflickr.com/3377/3573516590_a1f6cf2cbd_z.jpg")
    'https://www.flickr.com/photo.gne?id=3573516590'
    >>> author_page("https://example.org/page"), author_page("javascript:alert(1)")
    ('https://example.org/page', '')
    """
    found = re.fullmatch(r"https?://[\w.-]*static\.?flickr\.com/(?:\d+/)?\d+/(\d+)_\w+\.\w+", address)
    if found:
        return f"https://www.flickr.com/photo.gne?id={found[1]}"
    return address if address.startswith(("http://", "https://")) else ""
