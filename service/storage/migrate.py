"""Bring a database's tables to the newest schema."""

from pathlib import Path
from threading import Lock

from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, inspect

from service.storage.errors import StoreSchemaError
from service.storage.tables import Base

FOLDER = Path(__file__).parent / "migrations"
_alone = Lock()  # Alembic's context is the same for all threads


def migrate(conn: Connection) -> None:
    """Run the migrations that are missing, in the transaction of `conn`, which has to hold the lock for it.

    Raises `StoreSchemaError` where the schema is a newer one, or the tables are not ours.
    """
    config = Config()
    config.set_main_option("script_location", str(FOLDER).replace("%", "%%"))
    config.attributes["connection"] = conn
    scripts = ScriptDirectory.from_config(config)
    known = {revision.revision for revision in scripts.walk_revisions()}
    found = set(MigrationContext.configure(conn).get_current_heads())
    if unknown := found - known:
        raise StoreSchemaError(
            f"the store's schema is {', '.join(sorted(unknown))}, made by a newer archrank; this one knows "
            f"{', '.join(sorted(known))}: run the newer one, or another store"
        )
    if not found and (taken := set(inspect(conn).get_table_names()) & set(Base.metadata.tables)):
        raise StoreSchemaError(
            f"the database has tables of the same names that are not archrank's ({', '.join(sorted(taken))}): "
            "use a database of its own"
        )
    if found != set(scripts.get_heads()):
        with _alone:
            command.upgrade(config, "head")
