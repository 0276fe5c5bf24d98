"""A folder for one's own photographs: `heritage new`."""
