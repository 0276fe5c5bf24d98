"""Run jobs: in this process, in local subprocesses, or on Slurm (the latter two through submitit)."""
