"""`keys.yaml` as it stands now: read anew when the file changes, kept as it was where the new one is wrong."""

from __future__ import annotations

import hashlib
import hmac
import logging
import os
import re
import secrets
import time
from dataclasses import replace
from pathlib import Path

from agent.config.load import ConfigFile
from agent.config.problems import ConfigError, Problem
from agent.config.text_files import decode, read_bytes
from agent.config.validation import validate
from agent.config.yaml_text import parse
from agent.service.shapes import KeyConfig, KeysFile

log = logging.getLogger(__name__)

FILE = "keys.yaml"
LOOK = 1.0
"""Seconds between two looks at the file."""

_PREFIX = "agk_"
_ITEM = re.compile(r"^( *)- ", re.MULTILINE)


def load(folder: Path) -> KeysFile:
    """The keys of a configuration; none where there is no file. Raises `ConfigError`."""
    found = read(folder)
    return found.value if found else KeysFile()


def read(folder: Path) -> ConfigFile[KeysFile] | None:
    """The same, with the places in the file; None where there is none or nothing in it. Raises `ConfigError`."""
    path = folder / FILE
    if not path.exists():
        return None
    text = decode(path, read_bytes(path))
    if all(line.startswith("#") for line in text.split("\n") if line.strip()):
        return None
    document = parse(str(path), text)
    try:
        keys = validate(KeysFile, document)
    except ConfigError as error:
        raise ConfigError(tuple(_hidden(problem) for problem in error.problems)) from None
    for attribute in ("name", "sha256"):
        seen: set[str] = set()
        for place, key in enumerate(keys.keys):
            value = getattr(key, attribute)
            if value in seen:
                found = "one that is there already" if attribute == "sha256" else value
                raise ConfigError(
                    (document.problem(("keys", place, attribute), "a different one for each key", found),)
                )
            seen.add(value)
    return ConfigFile(keys, document)


def _hidden(problem: Problem) -> Problem:
    """What stands in the place of a digest may be the key itself."""
    return replace(problem, found="none of that form") if (problem.key or "").endswith(".sha256") else problem


def new_key() -> tuple[str, str]:
    """A key, to be shown once, and its digest, to be kept: 256 random bits."""
    key = _PREFIX + secrets.token_urlsafe(32)
    return key, digest(key)


def enter_new(folder: Path, name: str, tenant: str) -> str:
    """Makes a key, adds its digest to the file, and returns it: it is kept nowhere. Raises pydantic's `ValidationError`
    for names that may not be, `ConfigError` where the file is wrong or can't be added to, and OSError."""
    key, sha256 = new_key()
    entry = KeyConfig(name=name, sha256=sha256, tenant=tenant)
    path = folder / FILE
    before = load(folder).keys
    text = path.read_text() if path.exists() else ""
    if not before:  # there may be an empty list, or comments
        text = "".join(line for line in text.splitlines(keepends=True) if line.startswith("#")) + "keys:\n"
    if not text.endswith("\n"):
        text += "\n"
    text += _written(entry, _indent(text))
    _require_added(path, text, (*before, entry))
    draft = path.with_name(f".{FILE}.{os.getpid()}")
    draft.write_text(text)
    draft.replace(path)
    return key


def _indent(text: str) -> str:
    """That of the list in the file."""
    found = _ITEM.search(text)
    return found[1] if found else "  "


def _written(entry: KeyConfig, indent: str) -> str:
    """Quoted: `42`, `null` and `1e5` may be names."""
    lines = (f'- name: "{entry.name}"', f'  sha256: "{entry.sha256}"', f'  tenant: "{entry.tenant}"')
    return "".join(f"{indent}{line}\n" for line in lines)


def _require_added(path: Path, text: str, keys: tuple[KeyConfig, ...]) -> None:
    """Raises `ConfigError` where the text is not the file of these keys: it is not written as a list of blocks."""
    try:
        added = validate(KeysFile, parse(str(path), text)).keys == keys
    except ConfigError:
        added = False
    if not added:
        wanted = "a list whose items begin with `- ` and which ends the file, to add a key to it"
        raise ConfigError((Problem(str(path), None, None, "keys", "written in another way", wanted),))


def digest(key: str) -> str:
    return hashlib.sha256(key.encode("utf-8", "surrogateescape")).hexdigest()


class Keys:
    """Finds the holder of a key."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._stamp = self._look()
        self._keys = load(folder).keys
        self._looked = time.monotonic()

    def __bool__(self) -> bool:
        return bool(self._keys)

    def find(self, key: str) -> KeyConfig | None:
        """Compares with every digest, each in constant time, so that time tells nothing."""
        given = digest(key)
        found = None
        for each in self._keys:
            if hmac.compare_digest(each.sha256, given):
                found = each
        return found

    def refresh(self) -> None:
        """Looks at the file, where the last look is `LOOK` seconds ago; a file that is wrong is logged."""
        now = time.monotonic()
        if now - self._looked < LOOK:
            return
        self._looked = now
        stamp = self._look()
        if stamp == self._stamp:
            return
        self._stamp = stamp
        try:
            found = read(self._folder)
        except ConfigError as error:
            log.error("%s: the keys stay as they were: %s", FILE, error)
            return
        if found is None:  # gone, or emptied by who is about to write it
            log.error("%s: nothing is there; the keys stay as they were: to revoke them all, write `keys: []`", FILE)
            return
        self._keys = found.value.keys
        log.info("%s: %d keys are in force", FILE, len(self._keys))

    def _look(self) -> tuple[int, int, int] | None:
        try:
            found = (self._folder / FILE).stat()
        except OSError:
            return None
        return found.st_mtime_ns, found.st_size, found.st_ino
