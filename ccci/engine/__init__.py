"""Sessions, runs, results: how a playbook is played."""
