"""What is read from a host."""
