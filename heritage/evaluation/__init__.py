"""What `heritage evaluate` does: metrics with intervals, mistakes, label errors and audits of one network."""
