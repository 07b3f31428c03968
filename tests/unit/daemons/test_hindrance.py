"""What keeps a daemon from its work is said once, and shown to whoever asks for its health."""

from __future__ import annotations

import structlog
from structlog.testing import capture_logs

from processor.daemons.hindrance import Hindrance
from processor.metrics import Metrics

LOG = structlog.get_logger()


def test_a_daemon_whose_data_cannot_be_used_is_not_healthy_until_it_can() -> None:
    metrics = Metrics(ticks=lambda: 0.0)
    hindrance = Hindrance(metrics, LOG)
    assert metrics.healthy(0.0)[0]
    hindrance.say("there is no data")
    assert metrics.healthy(0.0) == (False, "there is no data")
    assert metrics.registry.get_sample_value("koinon_hindered") == 1
    metrics.cycle("waited")
    assert not metrics.healthy(0.0)[0], "a cycle that ends well changes nothing"
    hindrance.say(None)
    assert metrics.healthy(0.0)[0]
    assert metrics.registry.get_sample_value("koinon_hindered") == 0


def test_only_what_is_new_is_logged() -> None:
    hindrance = Hindrance(Metrics(), LOG)
    with capture_logs() as logs:
        for reason in (None, "no data", "no data", "other columns", None, None):
            hindrance.say(reason)
    assert [(each["log_level"], each.get("error")) for each in logs] == [
        ("error", "no data"),
        ("error", "other columns"),
        ("info", None),
    ]
