"""Where the workers are scraped, told to Prometheus."""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from pathlib import Path


def write_targets(file: Path, ports: Sequence[int]) -> None:
    """The workers' metrics ports as a file for Prometheus' `file_sd_configs`; never half written. Raises OSError."""
    file.parent.mkdir(parents=True, exist_ok=True)
    targets = [{"targets": [f"127.0.0.1:{port}"], "labels": {"worker": str(n)}} for n, port in enumerate(ports)]
    draft = file.with_name(f".{file.name}.{os.getpid()}")
    draft.write_text(json.dumps(targets, indent=2) + "\n")
    draft.replace(file)
