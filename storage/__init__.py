"""What a run leaves behind: products in Zarr, rows in the database, and how both are found again."""
