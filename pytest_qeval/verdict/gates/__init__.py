"""Read gates, check them and judge them."""
