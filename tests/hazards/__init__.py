"""Each hazard of the formats with one test, and the nearest legal file that must be read."""
