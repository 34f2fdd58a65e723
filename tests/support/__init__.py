"""What the lab tests stand on: a run as a process, the lab's host over plain ssh, a recipe to break."""
