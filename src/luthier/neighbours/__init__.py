"""What vectors of texts are for: finding documents, recommending items, cutting texts into segments."""
