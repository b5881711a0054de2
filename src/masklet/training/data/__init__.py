"""Training data: which clips of the data sets, and how they become batches.

mixture   what was asked for, and which clip comes next
samples   a clip to arrays: which frames, which objects, which part of the picture
feed      batches by the number of their step, ahead of the one that is learned from
written   clips as a data set, and as a film to look at
augment   changes of geometry and colour, on the device
"""
