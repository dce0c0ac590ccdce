"""The results explorer: pages on runs, products and tables, each with the same answer as JSON and as CSV."""
