"""Pure: arguments in, shell text out. Quoting lives here only."""
