"""What every room uses: array libraries, shapes, results, errors, checks, threads."""
