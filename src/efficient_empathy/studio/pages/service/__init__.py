"""The page of the service that scores conversations as they come."""
