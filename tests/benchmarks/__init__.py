"""Speed and memory beside TensorFlow's own way; nothing here runs with the tests."""
