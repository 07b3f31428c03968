"""What a daemon must not forget: one SQLite file for each wallet and federation."""

from processor.journal.journal import Journal
from processor.journal.records import (
    CANCELLED,
    DROPPED,
    FAILED,
    MINED,
    UNKNOWN,
    Broadcast,
    Intent,
    NamedList,
    ReadReport,
    SavedSecret,
    SavedUpdate,
)
from processor.journal.updates import updates_folder

__all__ = [
    "CANCELLED",
    "DROPPED",
    "FAILED",
    "MINED",
    "UNKNOWN",
    "Broadcast",
    "Intent",
    "Journal",
    "NamedList",
    "ReadReport",
    "SavedSecret",
    "SavedUpdate",
    "updates_folder",
]
