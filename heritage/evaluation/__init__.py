"""`heritage evaluate`: metrics with intervals, errors, label errors and audits of one network."""
