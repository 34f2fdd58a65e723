"""The bridge in figures, for Prometheus."""

from __future__ import annotations

from collections.abc import Iterator

from prometheus_client import CollectorRegistry, Counter, Histogram, generate_latest
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.registry import Collector
from typing_extensions import override

from ccci.bridge.health import Health
from ccci.bridge.queue import Queue

_ANSWERS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 1.0, 5.0)  # seconds


class _Now(Collector):
    """What is so at the moment of asking."""

    def __init__(self, queue: Queue, health: Health) -> None:
        self._queue, self._health = queue, health

    @override
    def collect(self) -> Iterator[GaugeMetricFamily]:
        waiting = GaugeMetricFamily("ccci_bridge_triggers", "Triggers in each state.", labels=["state"])
        for state, count in self._queue.counts().items():
            waiting.add_metric([state.value], count)
        yield waiting
        there = GaugeMetricFamily("ccci_bridge_service_up", "Whether a service answers.", labels=["service"])
        for name in self._health.report():
            there.add_metric([name], float(self._health.is_up(name)))
        yield there


class Metrics:
    """Counters of one bridge, in a registry of its own."""

    def __init__(self, queue: Queue, health: Health) -> None:
        self._registry = CollectorRegistry()
        self._registry.register(_Now(queue, health))
        self.deliveries = Counter(
            "ccci_bridge_deliveries", "Webhooks by what came of them.", ["outcome"], registry=self._registry
        )
        self.verdicts = Counter(
            "ccci_bridge_verdicts", "Triggers by how they ended.", ["verdict"], registry=self._registry
        )
        self.answers = Histogram(
            "ccci_bridge_answer_seconds", "How long webhooks waited.", buckets=_ANSWERS, registry=self._registry
        )

    def ended(self, verdict: str) -> None:
        """Count a trigger that has ended."""
        self.verdicts.labels(verdict).inc()

    def text(self) -> bytes:
        """Return all of it in Prometheus's text form."""
        return generate_latest(self._registry)
