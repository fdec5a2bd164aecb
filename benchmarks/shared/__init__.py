"""What several benchmarks share: problems, turns, results, and what is shown meanwhile."""
