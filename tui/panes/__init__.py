"""The three panes of the studio."""
