"""`python -m jaxmeta.cli` is `jaxmeta`."""

from jaxmeta.cli.main import main

if __name__ == "__main__":
    main()
