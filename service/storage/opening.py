"""The store named by the settings."""

from sqlalchemy import URL

from service.settings import Settings
from service.storage.store import Store


def open_store(settings: Settings) -> Store:
    """Open the store of the settings. Raises `InputError` and `StoreError`."""
    return Store.open(store_url(settings))


def store_url(settings: Settings) -> str | URL:
    """Return `store_url` of the settings, or the URL of the SQLite file in the data directory."""
    return settings.store_url if settings.store_url is not None else Store.directory_url(settings.expanded_data_dir)
