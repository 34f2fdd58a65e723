"""The hosts: those of the settings and the labs of this machine. A plain pyinfra inventory."""

from ccci.engine.connect import inventory_hosts
from ccci.settings import load

hosts = inventory_hosts(load())
