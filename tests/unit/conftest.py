from hypothesis import settings

# No test asserts a time: the first example may have to load what all need.
settings.register_profile("unhurried", deadline=None)
settings.load_profile("unhurried")
