"""The bytes behind an archive: read at any place by any thread, unpacked once where they must be."""

from __future__ import annotations

import os
import zlib
from threading import Lock
from typing import IO, cast

from iamiou.errors import InputError

#: No archive unpacks to more than this, whatever the images would allow.
MAX_TOTAL = 2**36
PACK_AGAIN = "Pack the label maps again."


class ByteSource:
    """An open file that threads read at given places; closed when nobody uses it any more."""

    def __init__(self, file: IO[bytes]) -> None:
        import weakref

        self.file, self._lock = file, Lock()
        self.size = os.fstat(file.fileno()).st_size
        weakref.finalize(self, file.close)

    def at(self, offset: int, size: int) -> bytes:
        """Read up to `size` bytes at `offset`; safe in threads and, where the system can, in forked processes."""
        if hasattr(os, "pread"):
            parts, fd = [], self.file.fileno()
            while size > 0 and (part := os.pread(fd, min(size, 2**30), offset)):
                parts.append(part)
                offset, size = offset + len(part), size - len(part)
            return b"".join(parts)
        with self._lock:
            self.file.seek(offset)
            return self.file.read(size)


def gunzip(file: IO[bytes], where: str, max_total: int) -> IO[bytes]:
    """Unpack a gzip file into an unnamed temporary file; `InputError` if it is damaged or too much."""
    import gzip
    import shutil
    import tempfile

    # A bomb must not fill the disk that everybody else's temporary files are on.
    limit = min(max_total, shutil.disk_usage(tempfile.gettempdir()).free // 2)
    out = tempfile.TemporaryFile(prefix="iamiou-")  # noqa: SIM115 - closed by ByteSource
    total = 0
    try:
        file.seek(0)
        with file, gzip.GzipFile(fileobj=file) as unpacked:
            while chunk := unpacked.read(2**20):
                total += len(chunk)
                if total > limit:
                    raise too_much(where, limit)
                out.write(chunk)
        out.flush()
    except (EOFError, zlib.error, gzip.BadGzipFile) as e:
        out.close()
        raise InputError(f"'{where}' is damaged or cut short ({e}). {PACK_AGAIN}") from e
    except OSError as e:
        out.close()
        raise InputError(f"'{where}' cannot be unpacked: {e.strerror or e}. Unpack it and give the folder.") from e
    except BaseException:
        out.close()
        raise
    return cast("IO[bytes]", out)


def too_much(where: str, limit: int) -> InputError:
    """Say that an archive holds more than is sensible."""
    return InputError(
        f"'{where}' unpacks to more than {limit / 1e9:.3g} GB, which is more than its images (or the "
        "temporary folder) allow. Unpack it yourself and give the folder if that is as it should be."
    )
