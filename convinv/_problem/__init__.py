"""The problem that a method solves: its scaling, its monitor and its verdict."""
