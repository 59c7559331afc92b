"""The command line: its options, what it refuses, the report, and what each command does."""
