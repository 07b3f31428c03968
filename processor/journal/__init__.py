"""What a daemon must not forget: one SQLite file for each wallet and federation."""

from processor.journal.journal import Journal
from processor.journal.records import (
    CANCELLED,
    DROPPED,
    FAILED,
    MINED,
    Broadcast,
    Intent,
    SavedSecret,
    SavedUpdate,
)
from processor.journal.updates import updates_folder

__all__ = [
    "CANCELLED",
    "DROPPED",
    "FAILED",
    "MINED",
    "Broadcast",
    "Intent",
    "Journal",
    "SavedSecret",
    "SavedUpdate",
    "updates_folder",
]
