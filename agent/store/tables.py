"""The tables. Times are BIGINT microseconds UTC, money BIGINT nano-dollars, JSON is TEXT: a digest needs the bytes.

`budget.spec` says what a budget counts, as canonical JSON (sorted keys, no spaces): `match` (which attempts), `scope`
(what has a counter of its own: everything, turn, …), `unit` (usd, tokens), `window` (of time). It has no limit.
`ledger_total` has the sums of the ledger's rows, moved by every append.

Alembic's `migrations/` is what creates them; a test holds both to the same schema.
"""

from __future__ import annotations

from sqlalchemy import BigInteger, Column, Index, Integer, MetaData, Table, Text, UniqueConstraint, literal_column, text

metadata = MetaData()

Int = BigInteger().with_variant(Integer, "sqlite")
"""64 bits everywhere; a STRICT table of SQLite knows the name INTEGER only."""


def _table(name: str, *items: Column[object] | UniqueConstraint | Index) -> Table:
    return Table(name, metadata, *items, sqlite_strict=True)


def _text(name: str, *, null: bool = False, key: bool = False) -> Column[object]:
    return Column(name, Text, nullable=null, primary_key=key)


def _int(name: str, *, null: bool = False, key: bool = False) -> Column[object]:
    return Column(name, Int, nullable=null, primary_key=key)


def _where(name: str, column: str, condition: str, *, unique: bool = False) -> Index:
    """A partial index."""
    columns = column.split()
    return Index(name, *columns, unique=unique, sqlite_where=text(condition), postgresql_where=text(condition))


worker = _table(
    "worker",
    _text("id", key=True),
    _text("host"),
    _int("started_at"),
    _int("lease_until"),
    Column("generation", Int, nullable=False, server_default=text("0")),  # of its configuration
    _text("state"),  # live | dead
    _where("worker_live", "lease_until", "state = 'live'"),
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
    _text("request", null=True),  # JSON: what the caller gave beside the input
    _int("begun_at"),
    _int("deadline_at"),
    _text("traceparent", null=True),
    _text("state"),  # queued | running | done
    _int("epoch"),
    _text("owner", null=True),
    _int("owned_at"),  # begun, or claimed by its last owner
    _int("due_at", null=True),
    _int("ended_at", null=True),
    _text("outcome", null=True),
    _text("result", null=True),  # JSON: text, reason, detail
    UniqueConstraint("conversation", "ordinal"),
    _where("turn_running", "owner", "state = 'running'"),
    _where("turn_queued", "due_at", "state = 'queued'"),
    _where("turn_open", "conversation", "state <> 'done'", unique=True),
    _where("turn_caller", "tenant caller_key begun_at", "caller_key IS NOT NULL"),
    _where("turn_caller_open", "tenant caller_key", "caller_key IS NOT NULL AND state <> 'done'"),
)

turn_key = _table(
    "turn_key",
    _text("tenant", key=True),
    _text("caller_key", key=True),  # '' where the caller has none
    _text("key", key=True),
    _text("request_digest"),
    _text("turn"),
    _int("at"),
)

step = _table(
    "step",
    _text("turn", key=True),
    _text("key", key=True),
    _int("position"),
    _int("epoch"),
    _text("kind"),  # model | tool
    _text("state"),  # started | answered | unknown
    _text("answer", null=True),
    _int("started_at"),
    _int("answered_at", null=True),
)

budget = _table(
    "budget",
    Column("id", Int, primary_key=True, autoincrement=False),
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
    _text("reason", null=True),  # of a correction made by a person
    _text("made_by", null=True),
    _int("format"),  # which columns the digest covers: `ledger.FORMATS`
    _text("writer"),
    _int("n"),
    _text("digest"),
    UniqueConstraint("writer", "n"),
    _where("ledger_attempt", "attempt", "kind <> 'correction'", unique=True),
    Index("ledger_at", "at", "cost", "tokens"),
    Index("ledger_tenant", "tenant", "at", "cost", "tokens"),
    Index("ledger_conversation", "conversation"),
    Index("ledger_turn", "turn"),
)

ledger_total = _table(
    "ledger_total",
    _text("agent", key=True),
    _text("model", key=True),
    _text("prompt_name", key=True),
    _text("prompt_version", key=True),
    _text("quality", key=True),
    _int("attempts"),
    _int("tokens"),
    _int("cost"),
)

writer = _table("writer", _text("id", key=True), _int("n"), _text("digest"))

# The conditions of partial indexes as statements have to say them: SQLite prepares a statement anew for every run
# where one of these has a parameter.
is_live = worker.c.state == literal_column("'live'")
is_running = turn.c.state == literal_column("'running'")
is_queued = turn.c.state == literal_column("'queued'")
is_open = turn.c.state != literal_column("'done'")
