"""`heritage compare`: tables and paired tests of many runs, beside the published results of the thesis."""
