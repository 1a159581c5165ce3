"""Forecasts of restores, against TensorFlow's and Keras's own."""
