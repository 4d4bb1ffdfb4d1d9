"""`python -m luthier`, the same as the command `luthier`: for launchers that want a module (torchrun and friends)."""

from luthier.cli.main import main

if __name__ == "__main__":
    main()
