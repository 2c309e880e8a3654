"""What a stage gets and what it leaves: its work, its files, its options, its scores."""
