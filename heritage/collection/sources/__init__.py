"""The adapters of museums, one module each, behind the interface `Source`.

An adapter lists object ids, returns the URL of a record, and parses a record into
`heritage.collection.record.Record`. It makes no requests itself but uses the client it is given. A new
adapter needs no entry here: ``conf/source/<museum>.yaml`` names its module in ``_target_``.
"""

from heritage.collection.sources.cleveland import ClevelandSource
from heritage.collection.sources.demo import DemoSource
from heritage.collection.sources.louvre import LouvreSource
from heritage.collection.sources.met import MetSource
from heritage.collection.sources.source import ListedObject, Listing, Source

__all__ = ["ClevelandSource", "DemoSource", "ListedObject", "Listing", "LouvreSource", "MetSource", "Source"]
