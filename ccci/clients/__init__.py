"""Clients of services that ccci talks to."""
