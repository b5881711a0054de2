"""Training data: which clips of the data sets, and how they become batches."""
