"""The store: a board's database and the files of its submissions, as one object."""

from __future__ import annotations

from pathlib import Path

from iamiou_leaderboard.jobs import Jobs


class Store(Jobs):
    """Everything that a board remembers.

    Parameters
    ----------
    url : str
        ``sqlite:///FILE`` or ``postgresql+psycopg://USER@HOST/NAME``; the tables are made or brought up to date.
    directory : path
        The board's folder.

    Examples
    --------
    >>> folder = getfixture("tmp_path")
    >>> store = Store(f"sqlite:///{folder}/board.sqlite3", folder)
    >>> entry = store.create_submission("Vision Lab", {"method": "ours"}, archive_size=1000)
    >>> entry.state.value, store.submissions(team="Vision Lab")[0].method
    ('received', 'ours')
    >>> store.close()
    """

    def __init__(self, url: str, directory: str | Path) -> None:
        super().__init__(url)
        self.directory = Path(directory)
        self.migrate()
