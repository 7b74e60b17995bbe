"""The default call beside every method that it could have taken."""
