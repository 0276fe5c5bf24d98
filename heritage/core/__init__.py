"""Building blocks without torch: files, the manifest, images and tables, shared by every stage."""
