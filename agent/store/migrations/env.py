"""Alembic's entry: runs the migrations on the connection that `agent.store.schema` hands over, in its transaction."""

from alembic import context

from agent.store.tables import metadata

context.configure(connection=context.config.attributes["connection"], target_metadata=metadata, transactional_ddl=False)
context.run_migrations()
