"""Draw the artefacts of the demo set: shapes, materials, ornament, light and camera."""
