"""An account in memory, for tests and for proving the shape of the protocol."""

from portarchive.connectors.memory.account import MemoryAccount, Name
from portarchive.connectors.memory.source import Fault, MemoryBody, MemorySource

__all__ = ["Fault", "MemoryAccount", "MemoryBody", "MemorySource", "Name"]
