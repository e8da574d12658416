"""Engines turn prompts into completions, ahead of need and in one continuous batch."""
