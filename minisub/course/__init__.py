"""What the course's notebooks share, and the app and export that show them."""
