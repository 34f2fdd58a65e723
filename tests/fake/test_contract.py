"""The contract of the fake: the lab's own tests of both lanes, on a host of which Docker is fake.

What passes here and in tests/lab is what the tests beside this file may rely on: deploying, converging, undeploying,
volumes and forks, secrets, configs, images that are missing, crashing services, Swarm's own rollback.
"""

from __future__ import annotations

from tests.lab.test_lanes import (
    test_cold_fail_leaves_nothing,
    test_cold_pass_leaves_nothing,
    test_operators_canonical_is_not_touched,
    test_service_that_the_head_drops_goes,
    test_what_only_the_head_has_goes,
    test_without_a_canonical_quick_falls_back_to_cold,
)
from tests.lab.test_quick import (
    test_green_head_leaves_known_good_alone,
    test_green_head_that_rewrites_data,
    test_head_of_the_clone_as_it_is,
    test_red_head_is_rolled_back,
    test_red_tests_fail_the_run,
)

__all__ = [
    "test_cold_fail_leaves_nothing",
    "test_cold_pass_leaves_nothing",
    "test_green_head_leaves_known_good_alone",
    "test_green_head_that_rewrites_data",
    "test_head_of_the_clone_as_it_is",
    "test_operators_canonical_is_not_touched",
    "test_red_head_is_rolled_back",
    "test_red_tests_fail_the_run",
    "test_service_that_the_head_drops_goes",
    "test_what_only_the_head_has_goes",
    "test_without_a_canonical_quick_falls_back_to_cold",
]
