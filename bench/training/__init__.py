"""From a model's card and data to trained weights. Keras is imported by the export process only."""
