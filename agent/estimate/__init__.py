"""What a server draws where no sensor can be read: a model, its parts catalogue and its sources."""
