"""Migration of a database to the newest schema."""

from pathlib import Path
from threading import Lock

from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, inspect

from service.storage.errors import StoreSchemaError
from service.storage.tables import Base

MIGRATIONS_DIR = Path(__file__).parent / "migrations"
_alembic_lock = Lock()  # Alembic's context is global


def migrate(conn: Connection) -> None:
    """Run the pending migrations in the transaction of `conn`, which must hold the `migrate` lock.

    Raises:
        StoreSchemaError: the schema is newer than this version, or the tables are not archrank's.
    """
    config = Config()
    config.set_main_option("script_location", str(MIGRATIONS_DIR).replace("%", "%%"))
    config.attributes["connection"] = conn
    scripts = ScriptDirectory.from_config(config)
    known = {revision.revision for revision in scripts.walk_revisions()}
    current = set(MigrationContext.configure(conn).get_current_heads())
    if unknown := current - known:
        raise StoreSchemaError(
            f"the store's schema is {', '.join(sorted(unknown))}, made by a newer archrank; this one knows "
            f"{', '.join(sorted(known))}: use the newer version, or another store"
        )
    if not current and (taken := set(inspect(conn).get_table_names()) & set(Base.metadata.tables)):
        raise StoreSchemaError(
            f"the database has tables of the same names that are not archrank's ({', '.join(sorted(taken))}): "
            "use a separate database"
        )
    if current != set(scripts.get_heads()):
        with _alembic_lock:
            command.upgrade(config, "head")
