"""The paper's sections of real networks, from a checkout: the command `landscape visualise`.

    python LL_visualisation.py --visualize y

trains a ResNet-20 on handwritten digits for an epoch and maps its loss; --help lists the flags.
"""

from multifractal.base.command import at_the_shell

at_the_shell(__name__)

from landscape_viz.studies.surface_command import command, main, parser

__all__ = ["command", "main", "parser"]

if __name__ == "__main__":
    raise SystemExit(command(name="LL_visualisation.py"))
