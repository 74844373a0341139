"""Fixtures that tests of several rooms share, each kind in a file of its own under `fixtures/`."""

pytest_plugins = [
    "fixtures.large_archive",
    "fixtures.made_up_records",
    "fixtures.threads",
    "fixtures.weights_folder",
]
