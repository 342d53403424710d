"""A script's `main` as a command: exit codes, and one line instead of a traceback for what the user can mend."""

import sys


def run_as_command(main, name):
    """Run `main` and return the exit code of the script `name`."""
    try:
        main()
    except KeyboardInterrupt:
        print("\nstopped; the same command goes on where it was", file=sys.stderr)
        return 130
    except (ValueError, OSError, FloatingPointError) as error:
        print(f"{name}: error: {error}", file=sys.stderr)
        return 1
    return 0
