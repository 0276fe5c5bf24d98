"""From a museum's servers to photographs on disk: politely, resumably, each with its licence.

`Session` is a whole run. Below it, `client` is the one way to a museum, `ledger` the one memory,
`collector` the work between the two, `sources` the museums and `rules` the classes.
"""

from heritage.collection.options import CollectionOptions, collection_options
from heritage.collection.rules import ClassRules
from heritage.collection.session import Session, open_session

__all__ = ["ClassRules", "CollectionOptions", "Session", "collection_options", "open_session"]
