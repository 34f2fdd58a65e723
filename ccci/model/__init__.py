"""Pure values: what ccci talks about."""
