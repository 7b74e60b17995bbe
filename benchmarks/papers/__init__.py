"""The experiments of documents on inversion, with their figures beside ours."""
