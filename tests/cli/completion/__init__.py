"""What completes at TAB."""
