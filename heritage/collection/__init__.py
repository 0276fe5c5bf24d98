"""Collect photographs from museums: rate limited, resumable, each with its licence.

A `CollectionRun` uses the HTTP client (`http`), the state of the collection (`ledger`), the workers
(`collector`), the museums' adapters (`sources`) and the class rules (`rules`).
"""

from heritage.collection.options import CollectionOptions, collection_options
from heritage.collection.rules import ClassRules
from heritage.collection.run import CollectionRun, open_run

__all__ = ["ClassRules", "CollectionOptions", "CollectionRun", "collection_options", "open_run"]
