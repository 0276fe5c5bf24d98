"""The functions of ``import heritage``: compose, run and list, for scripts and notebooks."""
