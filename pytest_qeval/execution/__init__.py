"""What the answer does when it is run: programs judged in sandboxes."""
