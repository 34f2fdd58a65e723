"""The lab: a disposable cc-ci host in a container, as `docs/lab.md` describes it.

Nothing outside this package may know that a host is a lab: the only thing that leaves it is a hosts file
(`record.HostFile`) that could describe any host.
"""
