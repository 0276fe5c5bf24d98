"""Where jobs run: here, in processes of their own, or on Slurm; the latter two through submitit."""
