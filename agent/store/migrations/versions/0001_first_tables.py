"""The first tables: workers, conversations, turns and their journal, budgets, counters, holds, the ledger."""

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None

INT = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def where(condition: str) -> dict[str, sa.TextClause]:
    """A partial index, said to both engines."""
    return {"sqlite_where": sa.text(condition), "postgresql_where": sa.text(condition)}


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
        (1, '{"scope":"everything","unit":"usd","window":"total"}', 0, 0),
        (2, '{"scope":"turn","unit":"usd","window":"total"}', 0, 0)""")
    guards = SQLITE_GUARDS if op.get_bind().dialect.name == "sqlite" else POSTGRESQL_GUARDS
    for guard in guards:
        op.execute(guard)


def create_tables() -> None:
    op.create_table(
        "budget",
        sa.Column("id", INT, nullable=False),
        sa.Column("spec", sa.Text(), nullable=False),
        sa.Column("position", INT, nullable=False),
        sa.Column("generation", INT, nullable=True),
        sa.PrimaryKeyConstraint("id"),
        sa.UniqueConstraint("spec"),
        sqlite_strict=True,
    )
    op.create_table(
        "conversation",
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("tenant", sa.Text(), nullable=False),
        sa.Column("user_id", sa.Text(), nullable=True),
        sa.Column("agent", sa.Text(), nullable=False),
        sa.Column("prompt_name", sa.Text(), nullable=False),
        sa.Column("prompt_version", sa.Text(), nullable=False),
        sa.Column("prompt_digest", sa.Text(), nullable=False),
        sa.Column("turns", INT, nullable=False),
        sa.Column("created_at", INT, nullable=False),
        sa.Column("updated_at", INT, nullable=False),
        sa.Column("erased_at", INT, nullable=True),
        sa.PrimaryKeyConstraint("id"),
        sqlite_strict=True,
    )
    op.create_table(
        "counter",
        sa.Column("id", INT, nullable=False),
        sa.Column("budget", INT, nullable=False),
        sa.Column("subject", sa.Text(), nullable=False),
        sa.Column("window_start", INT, nullable=False),
        sa.Column("settled", INT, nullable=False),
        sa.Column("reserved", INT, nullable=False),
        sa.Column("seq", INT, nullable=False),
        sa.PrimaryKeyConstraint("id"),
        sa.UniqueConstraint("budget", "subject", "window_start"),
        sqlite_strict=True,
    )
    op.create_table(
        "hold",
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("owner", sa.Text(), nullable=False),
        sa.Column("at", INT, nullable=False),
        sa.Column("lease", INT, nullable=False),
        sa.Column("turn", sa.Text(), nullable=False),
        sa.Column("step", sa.Text(), nullable=False),
        sa.Column("epoch", INT, nullable=False),
        sa.Column("dims", sa.Text(), nullable=False),
        sa.Column("bound", INT, nullable=False),
        sa.Column("tokens", INT, nullable=False),
        sa.Column("lines", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("id"),
        sqlite_strict=True,
    )
    op.create_index("hold_lease", "hold", ["lease"], unique=False)
    op.create_table(
        "ledger",
        sa.Column("id", INT, nullable=False),
        sa.Column("attempt", sa.Text(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("corrects", INT, nullable=True),
        sa.Column("at", INT, nullable=False),
        sa.Column("ended", INT, nullable=False),
        sa.Column("tenant", sa.Text(), nullable=False),
        sa.Column("user_id", sa.Text(), nullable=True),
        sa.Column("conversation", sa.Text(), nullable=True),
        sa.Column("turn", sa.Text(), nullable=False),
        sa.Column("step", sa.Text(), nullable=False),
        sa.Column("epoch", INT, nullable=False),
        sa.Column("call", sa.Text(), nullable=False),
        sa.Column("number", INT, nullable=False),
        sa.Column("agent", sa.Text(), nullable=False),
        sa.Column("provider", sa.Text(), nullable=False),
        sa.Column("model", sa.Text(), nullable=False),
        sa.Column("response_model", sa.Text(), nullable=True),
        sa.Column("service_tier", sa.Text(), nullable=True),
        sa.Column("prompt_name", sa.Text(), nullable=False),
        sa.Column("prompt_version", sa.Text(), nullable=False),
        sa.Column("prompt_digest", sa.Text(), nullable=False),
        sa.Column("input_tokens", INT, nullable=True),
        sa.Column("cache_read_tokens", INT, nullable=True),
        sa.Column("cache_write_tokens", INT, nullable=True),
        sa.Column("output_tokens", INT, nullable=True),
        sa.Column("reasoning_tokens", INT, nullable=True),
        sa.Column("modalities", sa.Text(), nullable=True),
        sa.Column("unit_prices", sa.Text(), nullable=True),
        sa.Column("price_source", sa.Text(), nullable=False),
        sa.Column("price_effective", sa.Text(), nullable=True),
        sa.Column("quality", sa.Text(), nullable=False),
        sa.Column("cost", INT, nullable=False),
        sa.Column("book_cost", INT, nullable=True),
        sa.Column("tokens", INT, nullable=False),
        sa.Column("bound", INT, nullable=False),
        sa.Column("outcome", sa.Text(), nullable=False),
        sa.Column("charges", sa.Text(), nullable=False),
        sa.Column("trace_id", sa.Text(), nullable=True),
        sa.Column("span_id", sa.Text(), nullable=True),
        sa.Column("writer", sa.Text(), nullable=False),
        sa.Column("n", INT, nullable=False),
        sa.Column("digest", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("id"),
        sa.UniqueConstraint("writer", "n"),
        sqlite_strict=True,
    )
    op.create_index("ledger_at", "ledger", ["at", "cost", "tokens"], unique=False)
    op.create_index(
        "ledger_attempt",
        "ledger",
        ["attempt"],
        unique=True,
        sqlite_where=sa.text("kind <> 'correction'"),
        postgresql_where=sa.text("kind <> 'correction'"),
    )
    op.create_index("ledger_conversation", "ledger", ["conversation"], unique=False)
    op.create_index("ledger_tenant", "ledger", ["tenant", "at", "cost", "tokens"], unique=False)
    op.create_index("ledger_turn", "ledger", ["turn"], unique=False)
    op.create_table(
        "step",
        sa.Column("turn", sa.Text(), nullable=False),
        sa.Column("key", sa.Text(), nullable=False),
        sa.Column("position", INT, nullable=False),
        sa.Column("epoch", INT, nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("request_digest", sa.Text(), nullable=True),
        sa.Column("answer", sa.Text(), nullable=True),
        sa.Column("started_at", INT, nullable=False),
        sa.Column("answered_at", INT, nullable=True),
        sa.PrimaryKeyConstraint("turn", "key"),
        sqlite_strict=True,
    )
    op.create_table(
        "turn",
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("tenant", sa.Text(), nullable=False),
        sa.Column("user_id", sa.Text(), nullable=True),
        sa.Column("caller_key", sa.Text(), nullable=True),
        sa.Column("conversation", sa.Text(), nullable=False),
        sa.Column("ordinal", INT, nullable=False),
        sa.Column("agent", sa.Text(), nullable=False),
        sa.Column("prompt_name", sa.Text(), nullable=False),
        sa.Column("prompt_version", sa.Text(), nullable=False),
        sa.Column("prompt_digest", sa.Text(), nullable=False),
        sa.Column("input", sa.Text(), nullable=True),
        sa.Column("begun_at", INT, nullable=False),
        sa.Column("deadline_at", INT, nullable=False),
        sa.Column("traceparent", sa.Text(), nullable=True),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("epoch", INT, nullable=False),
        sa.Column("owner", sa.Text(), nullable=True),
        sa.Column("due_at", INT, nullable=True),
        sa.Column("ended_at", INT, nullable=True),
        sa.Column("outcome", sa.Text(), nullable=True),
        sa.Column("result", sa.Text(), nullable=True),
        sa.PrimaryKeyConstraint("id"),
        sa.UniqueConstraint("conversation", "ordinal"),
        sqlite_strict=True,
    )
    op.create_index(
        "turn_open",
        "turn",
        ["conversation"],
        unique=True,
        sqlite_where=sa.text("state <> 'done'"),
        postgresql_where=sa.text("state <> 'done'"),
    )
    op.create_index(
        "turn_queued",
        "turn",
        ["due_at"],
        unique=False,
        sqlite_where=sa.text("state = 'queued'"),
        postgresql_where=sa.text("state = 'queued'"),
    )
    op.create_index(
        "turn_running",
        "turn",
        ["owner"],
        unique=False,
        sqlite_where=sa.text("state = 'running'"),
        postgresql_where=sa.text("state = 'running'"),
    )
    op.create_table(
        "worker",
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("host", sa.Text(), nullable=False),
        sa.Column("started_at", INT, nullable=False),
        sa.Column("lease_until", INT, nullable=False),
        sa.Column("state", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("id"),
        sqlite_strict=True,
    )
    op.create_table(
        "writer",
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("n", INT, nullable=False),
        sa.Column("digest", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("id"),
        sqlite_strict=True,
    )
