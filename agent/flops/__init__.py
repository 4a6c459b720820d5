"""What accelerators can do at best, and what the activity of their units says they did."""
