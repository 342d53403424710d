"""The paper's supplementary experiment, from a checkout: the command `multifractal train`.

    python train_supplementary.py --lr 0.1 --dropout 0.75 --analyse

trains a million epochs into results/lr=0.1_dropout=0.75_epochs=1000000/; --help lists the flags.
"""

from multifractal.base.command import at_the_shell

at_the_shell(__name__)

from multifractal.training.__main__ import analyse, command, main, parser, write_published

__all__ = ["analyse", "command", "main", "parser", "write_published"]

if __name__ == "__main__":
    raise SystemExit(command())
