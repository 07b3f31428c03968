"""The processes that learn: a parent without keys that has imported torch, and a child of it for every job."""
