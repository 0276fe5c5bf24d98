"""Raw photographs to a clean, leak-free, fast data set: what `heritage curate` does.

`build` goes through the stages by a `plan`; what comes out is `curated`. The stages stand in the order in
which the data flows: `raw` (what there is), `overrides` (what a
curator decided), `scan` (each photograph inspected and resized, in parallel, resumable), `cleaning`
and `duplicates` (what is dropped and why), `groups`, `splits` and `audit` (who trains and who tests),
`dataset`, `attribution`, `card`, `report` and `packing` (what is written).
"""
