"""An account in memory, for tests and for proving the shape of the protocol."""

from portarchive.connectors.memory.account import MemoryAccount, Name
from portarchive.connectors.memory.line import Fault
from portarchive.connectors.memory.rewriting import Rewriting
from portarchive.connectors.memory.source import MemoryBody, MemorySource
from portarchive.connectors.memory.target import MemoryTarget

__all__ = [
    "Fault",
    "MemoryAccount",
    "MemoryBody",
    "MemorySource",
    "MemoryTarget",
    "Name",
    "Rewriting",
]
