"""Settings of what keeps a host in order: nights, and the disk."""

from __future__ import annotations

import attrs

from ccci.model.optionreaders import about, amount, names_of_hosts, seconds, whole


@attrs.frozen(kw_only=True)
class Upkeep:
    """Options of nights and of the disk; the ``help`` of each is in its declaration."""

    max_tests: int = attrs.field(
        default=2,
        metadata=about("how many recipes a night tests at a time on one host", whole(1, 32), "MAX_TESTS"),
    )
    run_deadline: float = attrs.field(
        default=3600.0,
        metadata=about("seconds that a night gives to one run", seconds(1), "CCCI_RUN_DEADLINE"),
    )
    night_deadline: float = attrs.field(
        default=21600.0,
        metadata=about("seconds that a night may take", seconds(1), "CCCI_NIGHT_DEADLINE"),
    )
    night_max_age: float | None = attrs.field(
        default=None,
        metadata=about(
            "hours without a result of a night after which an alert is raised; else nobody waits for nights",
            amount(0.001, 8760, "hours"),
            "CCCI_NIGHT_MAX_AGE",
        ),
    )
    night_hosts: tuple[str, ...] = attrs.field(
        default=(),
        metadata=about(
            "names of all hosts that share the night; else those of the host's group",
            names_of_hosts,
            "CCCI_NIGHT_HOSTS",
        ),
    )
    disk_floor: float = attrs.field(
        default=2.0,
        metadata=about(
            "gigabytes that must be free on the host before a run starts",
            amount(0, 10**6, "gigabytes"),
            "CCCI_DISK_FLOOR",
        ),
    )
    keep_runs: float = attrs.field(
        default=30.0,
        metadata=about("days that prune keeps results of runs", amount(0, 36500, "days"), "CCCI_KEEP_RUNS"),
    )
    prune_grace: float = attrs.field(
        default=14.0,
        metadata=about(
            "days that prune leaves a canonical whose recipe is not enrolled any more",
            amount(0, 36500, "days"),
            "CCCI_PRUNE_GRACE",
        ),
    )
