"""Guards that are broken on purpose, and the program that sees whether a test notices."""
