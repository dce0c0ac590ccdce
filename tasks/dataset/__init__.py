"""Dataset construction: windows, content, near-duplicates, coresets, splits that survive growth, gates, statistics."""
