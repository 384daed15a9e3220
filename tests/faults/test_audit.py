"""The audit finds what it is there for."""

from __future__ import annotations

import shutil
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from tests.faults.audit import findings
from tests.faults.scene import Undisturbed

PLANTED = {
    "changed cost": ("UPDATE ledger SET cost = cost - 1 WHERE id = 1", "digest"),
    "lost row": ("DELETE FROM ledger WHERE id = 2", "1 attempts that may have been sent"),
    "booked twice": ("UPDATE ledger SET kind = 'correction', attempt = (SELECT min(attempt) FROM ledger) WHERE id = 2",
                     "is booked as ['attempt', 'correction']"),
    "reserved for nobody": ("UPDATE counter SET reserved = 1 WHERE budget = 2", "and 1 reserved"),
    "lost change": ("UPDATE counter SET seq = seq + 1 WHERE budget = 1", "seq has gaps"),
    "turn under way": ("UPDATE turn SET state = 'running'", "is running"),
    "lost step": ("DELETE FROM step WHERE key = 'm0.t0'", "positions [0, 2, 3]"),
    "unanswered step": ("UPDATE step SET state = 'started' WHERE key = 'm0.t0'", "without an answer of all its tools"),
    "stale step": ("UPDATE step SET epoch = 2 WHERE key = 'm0'", "epochs [2, 1] of 1"),
}  # fmt: skip


@pytest.mark.parametrize("fault", PLANTED)
def test_a_planted_fault_is_found(tmp_path: Path, undisturbed: Undisturbed, fault: str) -> None:
    statement, finding = PLANTED[fault]
    store = Path(shutil.copy(undisturbed.store, tmp_path))
    assert findings(store, 2) == []
    with closing(sqlite3.connect(store)) as connection, connection:
        for (trigger,) in connection.execute("SELECT name FROM sqlite_master WHERE type = 'trigger'").fetchall():
            connection.execute(f"DROP TRIGGER {trigger}")  # by which the ledger refuses to be changed
        connection.execute(statement)
    assert any(finding in found for found in findings(store, 2)), findings(store, 2)


def test_a_request_that_nobody_paid_for_is_found(undisturbed: Undisturbed) -> None:
    assert findings(undisturbed.store, 3) == ["3 requests, 2 attempts that may have been sent"]
