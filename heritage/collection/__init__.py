"""Collect photographs from museums: rate limited, resumable, each with its licence.

`Session` is a run. It uses the HTTP client (`http`), the state of the collection (`ledger`), the workers
(`collector`), the museums' adapters (`sources`) and the class rules (`rules`).
"""

from heritage.collection.options import CollectionOptions, collection_options
from heritage.collection.rules import ClassRules
from heritage.collection.session import Session, open_session

__all__ = ["ClassRules", "CollectionOptions", "Session", "collection_options", "open_session"]
