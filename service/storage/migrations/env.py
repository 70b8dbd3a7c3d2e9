"""How Alembic runs: in the transaction that it is given, so that a migration is kept as a whole or not at all."""

from alembic import context

context.configure(connection=context.config.attributes["connection"], transactional_ddl=True)
context.run_migrations()
