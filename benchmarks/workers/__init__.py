"""What runs in the measured processes: one worker for each side, driven line by line by the parent."""
