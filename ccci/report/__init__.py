"""A static report of hosts and their runs: pages, a feed, badges."""
