"""Strangers hand over what they like, and end no relay with it."""

from __future__ import annotations

from typing import Any

import pytest
import structlog

from processor.daemons.relay_desk import BAD, RelayDesk
from processor.daemons.relay_server import Refused
from processor.protocol.relaying import Budget, encode_handed, kind_of
from tests.unit.protocol.test_relaying import CLIENTS, EVERYTHING


@pytest.mark.parametrize("handed", EVERYTHING, ids=lambda handed: type(handed).__name__)
def test_what_is_handed_over_in_a_newer_version_is_refused_like_anything_that_cannot_be_read(handed: Any) -> None:
    unasked: Any = None
    desk = RelayDesk(CLIENTS[0], unasked, unasked, Budget(1, 1), structlog.get_logger(), batch=1)
    body = encode_handed(handed).replace(b'"version":1', b'"version":9')
    with pytest.raises(Refused, match="this cannot be taken: .* has version 9, this program reads up to 1") as refusal:
        desk.take(kind_of(handed), body)
    assert refusal.value.status == BAD
