"""The command line `hsis`, on the typed clients. Entry: `hsis.cli.main:app`."""
