"""`python -m heritage` and the script `heritage`: list the commands, or run one."""

from __future__ import annotations

import sys
from importlib.util import find_spec

from heritage.cli import COMMANDS, EXIT_FAULT, load, usage, write_output
from heritage.core.signals import stopped_in_one_line
from heritage.core.terminal import print_line


def main() -> None:
    """Run `heritage <command> …`; without a command, list them."""
    arguments = sys.argv[1:]
    if not arguments or arguments[0] in ("-h", "--help", "help"):
        write_output(usage().rstrip("\n"))
        return
    if arguments[0] == "--version":
        from heritage.core.version import __version__

        write_output(__version__)
        return
    verb = arguments[0]
    if verb not in COMMANDS:
        from heritage.core.taxonomy import suggestion

        hint = suggestion(verb, COMMANDS)
        print_line(f"heritage: there is no command '{verb}'; {hint}", error=True)
        sys.exit(EXIT_FAULT)
    # Hydra reads sys.argv itself.
    sys.argv = [f"heritage {verb}", *arguments[1:]]
    # Lightning starts further processes, one for each GPU, with `python -m <this module>`.
    sys.modules["__main__"].__spec__ = find_spec(f"heritage.{verb}")
    with stopped_in_one_line(f"heritage {verb}"):
        load(verb)()


if __name__ == "__main__":
    main()
