"""Why it passes: what training data say about a bias, forecasts, and where in the model it is."""
