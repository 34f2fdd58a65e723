# Light on purpose: a shell is started for every command of a run.
