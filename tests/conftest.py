"""Fixtures that tests of several rooms share, each kind in a file of its own under `fixtures/`."""

pytest_plugins = [
    "pytester",
    "fixtures.large_archive",
    "fixtures.made_up_records",
    "fixtures.quick_tests",
    "fixtures.threads",
    "fixtures.weights_folder",
]
