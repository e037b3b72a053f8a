"""How well a bucketing method finds the causes of a labelled corpus."""
