"""Run by Alembic: works in the transaction, on the connection, that `ledger.database.upgrade` hands over."""

from alembic import context

from scicat_retriever.ledger.database.schema import metadata

context.configure(connection=context.config.attributes["connection"], target_metadata=metadata)
with context.begin_transaction():
    context.run_migrations()
