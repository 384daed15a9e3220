"""The tables. Times are BIGINT microseconds UTC, money BIGINT nano-dollars, JSON is TEXT: a digest needs the bytes.

Alembic's `migrations/` is what creates them; a test holds both to the same schema.
"""

from __future__ import annotations

from sqlalchemy import BigInteger, Column, Index, Integer, MetaData, Table, Text, UniqueConstraint, text

metadata = MetaData()

Int = BigInteger().with_variant(Integer, "sqlite")
"""64 bits everywhere; a STRICT table of SQLite knows the name INTEGER only."""


def _table(name: str, *items: Column[object] | UniqueConstraint | Index) -> Table:
    return Table(name, metadata, *items, sqlite_strict=True)


def _text(name: str, *, null: bool = False, key: bool = False) -> Column[object]:
    return Column(name, Text, nullable=null, primary_key=key)


def _int(name: str, *, null: bool = False, key: bool = False) -> Column[object]:
    return Column(name, Int, nullable=null, primary_key=key)


worker = _table(
    "worker",
    _text("id", key=True),
    _text("host"),
    _int("started_at"),
    _int("lease_until"),
    _text("state"),  # live | dead
)

conversation = _table(
    "conversation",
    _text("id", key=True),
    _text("tenant"),
    _text("user_id", null=True),
    _text("agent"),
    _text("prompt_name"),
    _text("prompt_version"),
    _text("prompt_digest"),
    _int("turns"),
    _int("created_at"),
    _int("updated_at"),
    _int("erased_at", null=True),
)

turn = _table(
    "turn",
    _text("id", key=True),
    _text("tenant"),
    _text("user_id", null=True),
    _text("caller_key", null=True),
    _text("conversation"),
    _int("ordinal"),
    _text("agent"),
    _text("prompt_name"),
    _text("prompt_version"),
    _text("prompt_digest"),
    _text("input", null=True),
    _int("begun_at"),
    _int("deadline_at"),
    _text("traceparent", null=True),
    _text("state"),  # queued | running | done
    _int("epoch"),
    _text("owner", null=True),
    _int("due_at", null=True),
    _int("ended_at", null=True),
    _text("outcome", null=True),
    _text("result", null=True),
    UniqueConstraint("conversation", "ordinal"),
    Index("turn_running", "owner", sqlite_where=text("state = 'running'"), postgresql_where=text("state = 'running'")),
    Index("turn_queued", "due_at", sqlite_where=text("state = 'queued'"), postgresql_where=text("state = 'queued'")),
    Index(
        "turn_open",
        "conversation",
        unique=True,
        sqlite_where=text("state <> 'done'"),
        postgresql_where=text("state <> 'done'"),
    ),
)

step = _table(
    "step",
    _text("turn", key=True),
    _text("key", key=True),
    _int("position"),
    _int("epoch"),
    _text("kind"),  # model | tool
    _text("state"),  # started | answered | unknown
    _text("request_digest", null=True),
    _text("answer", null=True),
    _int("started_at"),
    _int("answered_at", null=True),
)

budget = _table(
    "budget",
    _int("id", key=True),
    _text("spec"),
    _int("position"),
    _int("generation", null=True),
    UniqueConstraint("spec"),
)

counter = _table(
    "counter",
    _int("id", key=True),
    _int("budget"),
    _text("subject"),
    _int("window_start"),
    _int("settled"),
    _int("reserved"),
    _int("seq"),
    UniqueConstraint("budget", "subject", "window_start"),
)

hold = _table(
    "hold",
    _text("id", key=True),
    _text("owner"),
    _int("at"),
    _int("lease"),
    _text("turn"),
    _text("step"),
    _int("epoch"),
    _text("dims"),
    _int("bound"),
    _int("tokens"),
    _text("lines"),
    Index("hold_lease", "lease"),
)

ledger = _table(
    "ledger",
    _int("id", key=True),
    _text("attempt"),
    _text("kind"),  # attempt | release | expiry | correction
    _int("corrects", null=True),
    _int("at"),
    _int("ended"),
    _text("tenant"),
    _text("user_id", null=True),
    _text("conversation", null=True),
    _text("turn"),
    _text("step"),
    _int("epoch"),
    _text("call"),
    _int("number"),
    _text("agent"),
    _text("provider"),
    _text("model"),
    _text("response_model", null=True),
    _text("service_tier", null=True),
    _text("prompt_name"),
    _text("prompt_version"),
    _text("prompt_digest"),
    _int("input_tokens", null=True),
    _int("cache_read_tokens", null=True),
    _int("cache_write_tokens", null=True),
    _int("output_tokens", null=True),
    _int("reasoning_tokens", null=True),
    _text("modalities", null=True),
    _text("unit_prices", null=True),
    _text("price_source"),
    _text("price_effective", null=True),
    _text("quality"),  # measured | estimated | unknown
    _int("cost"),
    _int("book_cost", null=True),
    _int("tokens"),
    _int("bound"),
    _text("outcome"),  # ok, or the attempt's error.type
    _text("charges"),
    _text("trace_id", null=True),
    _text("span_id", null=True),
    _text("writer"),
    _int("n"),
    _text("digest"),
    UniqueConstraint("writer", "n"),
    Index(
        "ledger_attempt",
        "attempt",
        unique=True,
        sqlite_where=text("kind <> 'correction'"),
        postgresql_where=text("kind <> 'correction'"),
    ),
    Index("ledger_at", "at", "cost", "tokens"),
    Index("ledger_tenant", "tenant", "at", "cost", "tokens"),
    Index("ledger_conversation", "conversation"),
    Index("ledger_turn", "turn"),
)

writer = _table("writer", _text("id", key=True), _int("n"), _text("digest"))
