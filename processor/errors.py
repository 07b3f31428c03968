"""What can go wrong, said so that a person can act on it.

Every error a user can cause is a `KoinonError`: its text says what was wrong, what was expected and what to do.
The command line prints that text alone; any other exception is a bug and keeps its traceback.
"""


class KoinonError(Exception):
    """Base of every error that is meant for a person to read."""


class ConfigurationError(KoinonError):
    """Settings are missing or make no sense; lists all of them at once."""


class ArtifactError(KoinonError):
    """Bytes are not the plan, model, update, server state or report that they should be.

    `code` is the reason code that a report gives when the artifact is a client's update (see protocol.settlement).
    """

    def __init__(self, message: str, code: str = "malformed") -> None:
        super().__init__(message)
        self.code = code


class NewerVersion(ArtifactError):
    """A file of a version that this program does not know: it is whole, and a newer program reads it."""


class IntegrityError(ArtifactError):
    """Bytes do not hash to the CID they were asked for by."""


class Unreadable(KoinonError):
    """A file on this machine is not there, or changes while it is read: nothing is said about the bytes that it was to
    hold, and nobody else is to blame."""


class MachineError(KoinonError):
    """This machine, the way it is set up, cannot do a step as everybody has to do it."""


class StorageError(KoinonError):
    """Storage cannot be reached, or does not hold what was asked for in the time allowed."""


class ArtifactUnavailable(StorageError):
    """Storage works, but nobody served the artifact in the time allowed."""


class ArtifactTooLarge(ArtifactError):
    """An artifact is larger than the limit for its kind."""

    def __init__(self, message: str) -> None:
        super().__init__(message, code="too_large")


class SealError(ArtifactError):
    """A sealed update cannot be opened with the round's secret."""

    def __init__(self, message: str) -> None:
        super().__init__(message, code="sealed_wrong")


class ChainError(KoinonError):
    """The node cannot be reached, or it is not the chain or the contract that was expected."""


class WrongAddress(ChainError):
    """What an address leads to is not the chain or the contract that was expected: waiting does not change that."""


class NotAccepted(ChainError):
    """The node did not accept a transaction: it is not on its way."""


class Underpriced(NotAccepted):
    """The node asks for higher fees: than it pays, or than another transaction of the same nonce does."""


class NonceUsed(NotAccepted):
    """A transaction with the same nonce is in a block: this one or another, which has to be found out."""


class Reverted(ChainError):
    """The contract refused a call. `name` is its custom error, `arguments` the values it carries."""

    def __init__(self, message: str, name: str = "", arguments: dict[str, object] | None = None) -> None:
        super().__init__(message)
        self.name = name
        self.arguments = arguments or {}


class KeystoreError(KoinonError):
    """A keystore or passphrase cannot be used."""


class JournalError(KoinonError):
    """The journal cannot be opened, or belongs to another wallet or federation."""


class JournalDamaged(JournalError):
    """The journal's file is damaged, or is no journal: what it knew has to be found out again."""


class JournalBusy(JournalError):
    """The journal cannot be used now: the disk is full, or another process holds it for too long."""


class DatasetError(KoinonError):
    """Training or validation data cannot be used."""


class Interrupted(KoinonError):
    """A long step ended early, because the daemon was asked to stop."""


class OutOfMemory(KoinonError):
    """A step needs more memory than there is now: other programs may let go of some."""


class GpuOutOfMemory(OutOfMemory):
    """A GPU has too little memory for a step: the processor may have enough."""


class WorkerDied(KoinonError):
    """A worker ended without an answer. `checkpoint` is how much the last checkpoint of its job holds; `refused` says
    that the system refused it something, such as room on a disk, and not what is wrong with the job."""

    def __init__(self, message: str, checkpoint: int = 0, *, refused: bool = False) -> None:
        super().__init__(message)
        self.checkpoint = checkpoint
        self.refused = refused


class TrainingError(KoinonError):
    """Local training does not lead to a usable model."""


class Unfinished(KoinonError):
    """A daemon that was to run once met trouble that it would have waited out."""
