"""What every workload shares: devices, tiles, windows, robust statistics, wavelets, exact sums."""
