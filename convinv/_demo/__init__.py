"""What ``convinv demo`` does."""
