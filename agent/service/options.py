"""Reads `service.yaml`."""

from __future__ import annotations

from pathlib import Path

from agent.config.text_files import decode, read_bytes
from agent.config.validation import validate
from agent.config.yaml_text import parse
from agent.service.shapes import ServiceFile

FILE = "service.yaml"


def load_options(folder: Path) -> ServiceFile:
    """The limits of a worker; the defaults where there is no file. Raises `ConfigError`."""
    path = folder / FILE
    if not path.exists():
        return ServiceFile()
    return validate(ServiceFile, parse(str(path), decode(path, read_bytes(path))))
