"""Before any sum over pixels: which samples and bands to use, what noise there is, and damage mended."""
