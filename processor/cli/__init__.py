"""The command line `koinon`: one module per command group, put together in `app`."""
