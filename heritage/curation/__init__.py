"""Curation: raw photographs to a clean, leak-free data set (`heritage curate`).

`build` runs the stages, with `options`, in this order: `raw_sources` (read the source), `labels` and
`image_ids`, `scan` and `inspection` (measure and resize each photograph), `cleaning` and `duplicates` (drop
photographs, with `drop_reasons`), `groups` and `splits`, `leak_check`, and the outputs: `html_report`,
`dataset_card`, `output` and `packing`.
"""
