"""The one error that medtl raises on bad input."""


class MedtlError(Exception):
    """Bad input, told in one line: what was found, where, what was expected, what to do.

    The command line prints the line on stderr and exits with status 2.
    """
