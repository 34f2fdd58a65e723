"""The verbs and guards that playbooks are made of."""
