"""Compare four architectures of one size, from a checkout: the command `landscape compare`.

    python experiments/compare_architectures.py

takes some 40 s of processor time; --help lists the flags.
"""

from multifractal.base.command import at_the_shell

at_the_shell(__name__)

from landscape_viz.studies.comparison_command import command, main, parser

__all__ = ["command", "main", "parser"]

if __name__ == "__main__":
    raise SystemExit(command(name="compare_architectures.py"))
