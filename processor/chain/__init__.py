"""The contracts as Python sees them: a connection, typed reads at a named block, signed transactions."""
