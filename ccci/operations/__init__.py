"""pyinfra operations: facts in, commands out; run twice, the second yields none."""
