"""What every report is made of: HTML pages, figures, tables and thumbnails."""
