"""What is asked: problems, prompts, stop strings, and how a completion becomes a program."""
