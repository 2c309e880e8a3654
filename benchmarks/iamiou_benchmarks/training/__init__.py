"""What trains networks, whatever the method: loop, batches, losses, processes."""
