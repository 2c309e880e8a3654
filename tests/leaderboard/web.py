"""A board behind its guard on a port of this machine: what a visitor, a team and a browser get."""

from __future__ import annotations

import html.parser
import re
import threading
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urljoin, urlsplit

import httpx

from iamiou_leaderboard.board import Opened, open_board
from iamiou_leaderboard.web.serving import bind, make_server


@dataclass
class Web:
    """An opened board, its application, its scored submissions and tokens of two teams and the admin."""

    directory: Path
    ids: tuple[str, ...]
    opened: Opened = field(init=False)
    tokens: dict[str, str] = field(init=False)
    url: str = field(init=False)
    clients: list[httpx.Client] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.opened = open_board(self.directory)
        create = self.opened.store.create_token
        self.tokens = {"Lab": create("Lab"), "Other": create("Other"), "admin": create("Operators", "admin")}
        self.listener = bind("127.0.0.1", 0)
        self.url = f"http://127.0.0.1:{self.listener.getsockname()[1]}"
        self.server = make_server(self.opened, "127.0.0.1", self.url)
        self.app = self.server.config.app
        self.thread = threading.Thread(target=self.server.run, kwargs={"sockets": [self.listener]}, daemon=True)
        self.thread.start()
        while not self.server.started:
            time.sleep(0.01)

    def close(self) -> None:
        """End the server."""
        for client in self.clients:
            client.close()
        self.server.should_exit = True
        self.thread.join(20)
        self.opened.close()

    def client(self, who: str = "") -> httpx.Client:
        """Return a client that follows no redirects, with the token of ``who`` as a header."""
        headers = {"authorization": f"Bearer {self.tokens[who]}"} if who else {}
        self.clients.append(httpx.Client(base_url=self.url, headers=headers, trust_env=False, timeout=60))
        return self.clients[-1]

    def browser(self, who: str) -> httpx.Client:
        """Return a client that signed in with the form, as a browser does."""
        client = self.client()
        page = client.get("/sign-in")
        sent = {"form_token": form_token(page.text), "token": self.tokens[who]}
        answer = client.post("/sign-in", data=sent)
        assert (answer.status_code, answer.headers["location"]) == (303, "/submit")
        return client


def form_token(page: str) -> str:
    """Return what the forms of a page carry."""
    (found,) = set(re.findall(r'name="form_token" value="([0-9a-f]+)"', page))
    return str(found)


class Page(html.parser.HTMLParser):
    """Addresses, ids and forbidden attributes of a page."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.addresses: list[str] = []
        self.actions: list[str] = []
        self.ids: list[str] = []
        self.inline: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        for name, value in attrs:
            if name in ("href", "src"):
                self.addresses.append(value or "")
            if name == "action":
                self.actions.append(value or "")
            if name == "id":
                self.ids.append(value or "")
            if name == "style" or name.startswith("on"):
                self.inline.append(f"{tag} {name}")
        if tag == "style" or (tag == "script" and not dict(attrs).get("src")):
            self.inline.append(tag)


def crawl(client: httpx.Client, *starts: str) -> dict[str, Any]:
    """Follow every address of this site from some pages on; return the answers by address."""
    seen: dict[str, Any] = {}
    waiting = list(starts)
    while waiting:
        address = waiting.pop()
        if address in seen:
            continue
        answer = seen[address] = client.get(address)
        if answer.headers["content-type"].startswith("text/html"):
            for found in Page(answer.text).addresses:
                if found.startswith("data:") or found.startswith("#"):
                    continue
                parts = urlsplit(urljoin(str(client.base_url.join(address)), found))
                assert parts.netloc == urlsplit(str(client.base_url)).netloc, f"{address} points to {found}"
                waiting.append(parts.path + (f"?{parts.query}" if parts.query else ""))
    return seen
