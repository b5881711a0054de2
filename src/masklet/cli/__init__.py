"""The command line: arguments translated, results presented, no numerics."""
