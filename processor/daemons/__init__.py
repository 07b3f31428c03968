"""The processes that run for weeks: read one block, ask what to do, do one thing, read again."""
