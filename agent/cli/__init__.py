"""The command line: one file for each command. `agent.cli.main` puts them together."""
