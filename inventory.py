"""The hosts: those of the settings and the labs of this machine, and their groups. A plain pyinfra inventory."""

from ccci.engine.connect import inventory_groups, inventory_hosts
from ccci.settings import load

_settings = load()
hosts = inventory_hosts(_settings)
globals().update(inventory_groups(_settings))
