"""What suites, commands and experiments share; it imports none of them."""
