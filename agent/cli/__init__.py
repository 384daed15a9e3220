"""The command line: one file for each command. `agent.cli.program` puts them together."""
