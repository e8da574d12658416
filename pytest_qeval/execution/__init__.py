"""Run programs in sandboxes and judge them by their tests."""
