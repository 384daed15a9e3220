"""The first tables: workers, conversations, turns and their journal, budgets, counters, holds, the ledger.

There was a 0001 before the first release.
"""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = None

INT = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def text(name: str, *, null: bool = False) -> sa.Column[str]:
    return sa.Column(name, sa.Text(), nullable=null)


def number(name: str, *, null: bool = False) -> sa.Column[int]:
    return sa.Column(name, INT, nullable=null)


def partial_index(name: str, table: str, columns: list[str], condition: str, *, unique: bool = False) -> None:
    where = sa.text(condition)
    op.create_index(name, table, columns, unique=unique, sqlite_where=where, postgresql_where=where)


# INSERT OR REPLACE passes update and delete triggers, so an existing key is refused on insert as well.
SQLITE_GUARDS = (
    """CREATE TRIGGER ledger_no_update BEFORE UPDATE ON ledger
       BEGIN SELECT RAISE(ABORT, 'the ledger is append-only: add a correction'); END""",
    """CREATE TRIGGER ledger_no_delete BEFORE DELETE ON ledger
       BEGIN SELECT RAISE(ABORT, 'the ledger is append-only: add a correction'); END""",
    """CREATE TRIGGER ledger_no_replace BEFORE INSERT ON ledger
       WHEN EXISTS (SELECT 1 FROM ledger WHERE id = NEW.id)
         OR (NEW.kind <> 'correction'
             AND EXISTS (SELECT 1 FROM ledger WHERE attempt = NEW.attempt AND kind <> 'correction'))
         OR EXISTS (SELECT 1 FROM ledger WHERE writer = NEW.writer AND n = NEW.n)
       BEGIN SELECT RAISE(ABORT, 'the ledger is append-only: this row is there already'); END""",
)
POSTGRESQL_GUARDS = (
    """CREATE FUNCTION ledger_refuse() RETURNS trigger LANGUAGE plpgsql AS
       $$ BEGIN RAISE EXCEPTION 'the ledger is append-only: add a correction'; END $$""",
    """CREATE TRIGGER ledger_no_change BEFORE UPDATE OR DELETE ON ledger
       FOR EACH ROW EXECUTE FUNCTION ledger_refuse()""",
    "CREATE TRIGGER ledger_no_truncate BEFORE TRUNCATE ON ledger EXECUTE FUNCTION ledger_refuse()",
)


def upgrade() -> None:
    create_tables()
    # Both are counted from the first row on, so that a limit put on them later never begins with a gap.
    op.execute("""INSERT INTO budget (id, spec, position, generation) VALUES
        (1, '{"match":{},"scope":"everything","unit":"usd","window":"total"}', 0, 0),
        (2, '{"match":{},"scope":"turn","unit":"usd","window":"total"}', 0, 0)""")
    guards = SQLITE_GUARDS if op.get_bind().dialect.name == "sqlite" else POSTGRESQL_GUARDS
    for guard in guards:
        op.execute(guard)


def create_tables() -> None:
    op.create_table(
        "budget",
        sa.Column("id", INT, autoincrement=False, nullable=False),
        text("spec"),
        number("position"),
        number("generation", null=True),
        sa.PrimaryKeyConstraint("id"),
        sa.UniqueConstraint("spec"),
        sqlite_strict=True,
    )
    op.create_table(
        "conversation",
        text("id"),
        text("tenant"),
        text("user_id", null=True),
        text("agent"),
        text("prompt_name"),
        text("prompt_version"),
        text("prompt_digest"),
        number("turns"),
        number("created_at"),
        number("updated_at"),
        number("erased_at", null=True),
        sa.PrimaryKeyConstraint("id"),
        sqlite_strict=True,
    )
    op.create_table(
        "counter",
        number("id"),
        number("budget"),
        text("subject"),
        number("window_start"),
        number("settled"),
        number("reserved"),
        number("seq"),
        sa.PrimaryKeyConstraint("id"),
        sa.UniqueConstraint("budget", "subject", "window_start"),
        sqlite_strict=True,
    )
    op.create_table(
        "hold",
        text("id"),
        text("owner"),
        number("at"),
        number("lease"),
        text("turn"),
        text("step"),
        number("epoch"),
        text("dims"),
        number("bound"),
        number("tokens"),
        text("lines"),
        sa.PrimaryKeyConstraint("id"),
        sqlite_strict=True,
    )
    op.create_index("hold_lease", "hold", ["lease"], unique=False)
    op.create_table(
        "ledger",
        number("id"),
        text("attempt"),
        text("kind"),
        number("corrects", null=True),
        number("at"),
        number("ended"),
        text("tenant"),
        text("user_id", null=True),
        text("conversation", null=True),
        text("turn"),
        text("step"),
        number("epoch"),
        text("call"),
        number("number"),
        text("agent"),
        text("provider"),
        text("model"),
        text("response_model", null=True),
        text("service_tier", null=True),
        text("prompt_name"),
        text("prompt_version"),
        text("prompt_digest"),
        number("input_tokens", null=True),
        number("cache_read_tokens", null=True),
        number("cache_write_tokens", null=True),
        number("output_tokens", null=True),
        number("reasoning_tokens", null=True),
        text("modalities", null=True),
        text("unit_prices", null=True),
        text("price_source"),
        text("price_effective", null=True),
        text("quality"),
        number("cost"),
        number("book_cost", null=True),
        number("tokens"),
        number("bound"),
        text("outcome"),
        text("charges"),
        text("trace_id", null=True),
        text("span_id", null=True),
        text("reason", null=True),
        text("made_by", null=True),
        number("format"),
        text("writer"),
        number("n"),
        text("digest"),
        sa.PrimaryKeyConstraint("id"),
        sa.UniqueConstraint("writer", "n"),
        sqlite_strict=True,
    )
    op.create_index("ledger_at", "ledger", ["at", "cost", "tokens"], unique=False)
    partial_index("ledger_attempt", "ledger", ["attempt"], "kind <> 'correction'", unique=True)
    op.create_index("ledger_conversation", "ledger", ["conversation"], unique=False)
    op.create_index("ledger_tenant", "ledger", ["tenant", "at", "cost", "tokens"], unique=False)
    op.create_index("ledger_turn", "ledger", ["turn"], unique=False)
    op.create_table(
        "ledger_total",
        text("agent"),
        text("model"),
        text("prompt_name"),
        text("prompt_version"),
        text("quality"),
        number("attempts"),
        number("tokens"),
        number("cost"),
        sa.PrimaryKeyConstraint("agent", "model", "prompt_name", "prompt_version", "quality"),
        sqlite_strict=True,
    )
    op.create_table(
        "step",
        text("turn"),
        text("key"),
        number("position"),
        number("epoch"),
        text("kind"),
        text("state"),
        text("answer", null=True),
        number("started_at"),
        number("answered_at", null=True),
        sa.PrimaryKeyConstraint("turn", "key"),
        sqlite_strict=True,
    )
    op.create_table(
        "turn",
        text("id"),
        text("tenant"),
        text("user_id", null=True),
        text("caller_key", null=True),
        text("conversation"),
        number("ordinal"),
        text("agent"),
        text("prompt_name"),
        text("prompt_version"),
        text("prompt_digest"),
        text("input", null=True),
        text("request", null=True),
        number("begun_at"),
        number("deadline_at"),
        text("traceparent", null=True),
        text("state"),
        number("epoch"),
        text("owner", null=True),
        number("owned_at"),
        number("due_at", null=True),
        number("ended_at", null=True),
        text("outcome", null=True),
        text("result", null=True),
        sa.PrimaryKeyConstraint("id"),
        sa.UniqueConstraint("conversation", "ordinal"),
        sqlite_strict=True,
    )
    partial_index("turn_open", "turn", ["conversation"], "state <> 'done'", unique=True)
    partial_index("turn_queued", "turn", ["due_at"], "state = 'queued'")
    partial_index("turn_running", "turn", ["owner"], "state = 'running'")
    partial_index("turn_caller", "turn", ["tenant", "caller_key", "begun_at"], "caller_key IS NOT NULL")
    partial_index("turn_caller_open", "turn", ["tenant", "caller_key"], "caller_key IS NOT NULL AND state <> 'done'")
    op.create_table(
        "turn_key",
        text("tenant"),
        text("caller_key"),
        text("key"),
        text("request_digest"),
        text("turn"),
        number("at"),
        sa.PrimaryKeyConstraint("tenant", "caller_key", "key"),
        sqlite_strict=True,
    )
    op.create_table(
        "worker",
        text("id"),
        text("host"),
        number("started_at"),
        number("lease_until"),
        sa.Column("generation", INT, server_default=sa.text("0"), nullable=False),
        text("state"),
        sa.PrimaryKeyConstraint("id"),
        sqlite_strict=True,
    )
    partial_index("worker_live", "worker", ["lease_until"], "state = 'live'")
    op.create_table(
        "writer",
        text("id"),
        number("n"),
        text("digest"),
        sa.PrimaryKeyConstraint("id"),
        sqlite_strict=True,
    )
