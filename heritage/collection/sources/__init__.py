"""The museums: one adapter each, behind one protocol.

An adapter lists the ids a collection may need, says where a record is, and reads a record into
`heritage.collection.record.Record`. It makes no request of its own: the client it is given does.
"""

from heritage.collection.sources.cleveland import ClevelandSource
from heritage.collection.sources.demo import DemoSource
from heritage.collection.sources.louvre import LouvreSource
from heritage.collection.sources.met import MetSource
from heritage.collection.sources.source import Listed, Listing, Source

__all__ = ["ClevelandSource", "DemoSource", "Listed", "Listing", "LouvreSource", "MetSource", "Source"]
