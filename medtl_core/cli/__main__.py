"""`python -m medtl_core.cli` is the `medtl` command."""

from medtl_core.cli.app import main

if __name__ == "__main__":
    main()
