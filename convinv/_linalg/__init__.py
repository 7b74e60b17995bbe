"""Dense and banded linear algebra: factorizations and pseudoinverses of matrices."""
