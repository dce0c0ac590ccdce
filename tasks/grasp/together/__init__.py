"""Objects that share device batches: their grasps are grown ahead of the runs that judge and publish them."""
