"""The store's file: made for its user alone, and watched while it is in use."""

from __future__ import annotations

import contextlib
import os
from pathlib import Path

from agent.store.errors import StoreError


def make(path: Path) -> None:
    """Makes what is not there yet, whatever the umask: it holds what people said. What is there keeps its permissions.
    Raises `StoreError`."""
    try:
        for folder in reversed((path.parent, *path.parent.parents)):
            folder.mkdir(0o700, exist_ok=True)
    except OSError as error:
        raise StoreError(f"{path.parent}: can't make the store's folder: {error.strerror}") from error
    try:
        # SQLite gives its log and its shared memory the permissions of the file.
        with contextlib.suppress(FileExistsError):
            os.close(os.open(path, os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600))
    except OSError as error:
        raise StoreError(f"{path}: can't make the store: {error.strerror}") from error


class Watched:
    """A file that is open. Who replaces it leaves the open one to nobody: what is written then is lost."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._identity = self._look()

    def check(self) -> None:
        """Raises `StoreError` where another file, or none, has the store's name."""
        if self._look() != self._identity:
            raise StoreError(f"{self._path}: the store was deleted or replaced while it was in use; start again")

    def _look(self) -> tuple[int, int] | None:
        try:
            found = os.stat(self._path)
        except FileNotFoundError:
            return None
        except OSError as error:
            raise StoreError(f"{self._path}: {error.strerror}") from error
        return found.st_dev, found.st_ino
