"""Mutation check of the contracts: makes small faults in contracts/, one at a time, and counts those that tests catch.

- solidity   source text -> tokens and scopes
- operators  the kinds of fault, each a function from a scope to edits
- mutants    every fault of the contracts, by a stable id; the sample that a run tries
- semantic   faults of meaning, made by hand: the list semantic.toml
- survivors  the reviewed list tests/mutation-survivors.toml, and what a run says against it
- trees      copies of the project in which a fault is tried, and the two suites of tests
- results    what became of each fault, on disk
- run        which suite tries which fault
"""
