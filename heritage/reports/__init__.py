"""Building blocks of reports: HTML pages, figures, tables and thumbnails."""
