"""From a comment on a pull request to a verdict on it: webhook and polling, a durable queue, Drone, feedback."""
