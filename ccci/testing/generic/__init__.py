"""Tests that every recipe gets without asking."""
