"""What prune may remove: never what somebody needs, whatever else is on the host."""

from __future__ import annotations

from datetime import datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ccci.model.pruning import Image, dead_runs, forms, old_runs, orphans, size_text, unneeded_images

NOW = datetime(2026, 3, 1, 12, tzinfo=timezone.utc)
TAGS = st.sampled_from([f"{name}:{tag}" for name in ("nginx", "mariadb", "r.example/x/app") for tag in ("1", "2", "3")])
OWNERS = st.dictionaries(TAGS, st.integers(0, 5))  # which image has which name


def run_id(days: float) -> str:
    """Return the id of a run that began some days ago."""
    return (NOW - timedelta(days=days)).strftime("%Y%m%dt%H%M%S") + "-0a1b2c"


@given(OWNERS, st.sets(TAGS), st.sets(TAGS), st.sets(st.integers(0, 5)))
def test_no_needed_image_goes(owners: dict[str, int], needed: set[str], used: set[str], busy: set[int]) -> None:
    """An image goes if and only if no name of it is needed or used, and no container is made of it."""
    names = {i: tuple(sorted(tag for tag, owner in owners.items() if owner == i)) for i in range(6)}
    images = [Image(f"sha256:{i}", names[i], 10) for i in names]
    gone = unneeded_images(images, needed, {*used, *(f"sha256:{i}" for i in busy)})
    free = [i for i in names if i not in busy and not set(names[i]) & (needed | used)]
    assert [doomed.words for doomed in gone] == [names[i] or (f"sha256:{i}",) for i in free]


@pytest.mark.parametrize(
    ("needed", "listed"),
    [
        ("nginx", "nginx:latest"),
        ("docker.io/library/nginx:1.26", "nginx:1.26"),
        ("localhost:5000/x", "localhost:5000/x:latest"),
        ("localhost:5000/x:2", "localhost:5000/x:2"),
        ("nginx:1.26@sha256:abc", "nginx@sha256:abc"),
        ("nginx@sha256:abc", "nginx@sha256:abc"),
    ],
)
def test_an_image_is_known_by_all_its_names(needed: str, listed: str) -> None:
    """However a compose file names an image, it is the one that Docker lists by another name."""
    assert forms(needed) & forms(listed)
    assert not unneeded_images([Image("sha256:1", (listed,), 1)], [needed], [])


def test_another_image_is_another() -> None:
    """Neither another tag, nor another repository, nor another digest is the same image."""
    for name in ("nginx:1.27", "mynginx:1.26", "nginx@sha256:abd", "nginx:latest"):
        assert not forms(name) & forms("nginx:1.26@sha256:abc"), name


@given(st.lists(st.floats(0, 100), max_size=10), st.floats(0, 60), st.data())
def test_young_and_live_runs_stay(ages: list[float], days: float, data: st.DataObject) -> None:
    """Results go when they are older than asked; scratch a day after its run began; those of live runs never."""
    runs = [run_id(age) for age in ages]
    live = set(data.draw(st.lists(st.sampled_from(runs), max_size=3))) if runs else set()
    gone = old_runs(runs, now=NOW, days=days, live=live)
    assert not set(gone) & live
    assert all(age > days - 0.001 for age, run in zip(ages, runs, strict=True) if run in gone)
    dead = dead_runs(runs, now=NOW, live=live)
    assert not set(dead) & live
    assert all(age > 0.999 for age, run in zip(ages, runs, strict=True) if run in dead)


@pytest.mark.parametrize("name", ["lost+found", "20269999t999999-0a1b2c", "../20200101t000000-0a1b2c", "x"])
def test_what_is_no_run_stays(name: str) -> None:
    """A folder whose name is no run's is nobody's to remove."""
    assert not old_runs([name], now=NOW, days=0, live=())
    assert not dead_runs([name], now=NOW, live=())


@given(
    st.sets(st.sampled_from("abcdef")),
    st.sets(st.sampled_from("abcdef")),
    st.dictionaries(st.sampled_from("abcdef"), st.floats(0, 40)),
)
def test_a_canonical_goes_only_after_its_grace(there: set[str], enrolled: set[str], ages: dict[str, float]) -> None:
    """One of an enrolled recipe never goes; another only if it was seen without enrolment long enough ago."""
    since = {name: NOW - timedelta(days=age) for name, age in ages.items()}
    over, new = orphans(sorted(there), enrolled, since, now=NOW, days=14)
    assert not (set(over) | set(new)) & enrolled
    assert set(over) == {name for name in there - enrolled if ages.get(name, 0) > 14}
    assert set(new) == {name for name in there - enrolled if name not in ages}


@pytest.mark.parametrize(("size", "text"), [(0, "0 B"), (999, "999 B"), (1500, "1.5 kB"), (2_340_000_000, "2.3 GB")])
def test_sizes_are_readable(size: int, text: str) -> None:
    """Bytes are said in the unit that fits."""
    assert size_text(size) == text
