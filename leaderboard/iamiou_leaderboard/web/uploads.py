"""Bodies that are written to the disk as they come in, never held in memory."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from starlette.concurrency import run_in_threadpool
from starlette.requests import ClientDisconnect, Request

from iamiou_leaderboard.types import BoardError, Viewer, not_found

if TYPE_CHECKING:
    from iamiou_leaderboard.store import Store

#: Bytes that are gathered before they are written.
BUFFER = 1024 * 1024
OCTETS: dict[str, Any] = {
    "requestBody": {
        "required": True,
        "content": {"application/octet-stream": {"schema": {"type": "string", "format": "binary"}}},
    }
}
Write = Callable[[int, bytes], int]


def piece(store: Store, who: Viewer, submission_id: str) -> Write:
    """Return what writes bytes of one upload at an offset and says where the next belong.

    The owner is asked for before the first byte is written, and so before a body is read.
    """
    started = False

    def write(offset: int, data: bytes) -> int:
        nonlocal started
        if not started:
            if not who.owns(store.submission(submission_id).team):
                raise not_found(submission_id)
            started = True
        return store.append(submission_id, offset, [data] if data else [])

    return write


async def receive(request: Request, write: Write, offset: int) -> int:
    """Write the body of a request and return where the next byte belongs.

    Raises
    ------
    BoardError
        415 for another content type, or what ``write`` raises.
    """
    if request.headers.get("content-type", "").partition(";")[0].strip() != "application/octet-stream":
        raise BoardError("Send the archive as application/octet-stream.", "content-type", 415)
    at = await run_in_threadpool(write, offset, b"")
    held = bytearray()
    try:
        async for chunk in request.stream():
            held += chunk
            if len(held) >= BUFFER:
                at = await run_in_threadpool(write, at, bytes(held))
                held.clear()
    except ClientDisconnect:  # what came stays and counts; nobody is there to hear the answer
        pass
    return await run_in_threadpool(write, at, bytes(held)) if held else at
