"""A cc-ci host of which only Docker is fake: real sshd, shell, git, tar, zstd, locks, mounts and TLS, in namespaces.

What a fake may stand in for is checked by tests/contract, which runs on this host and on the lab.
"""
