"""Training data: readers of the field's data sets, mixing, views, batches.

items     a picture or a video with its masks, read when it is asked for
kinds     the data sets that are understood, and which one a folder holds
mixture   which item comes next
samples   an item to tensors: which frames, which objects, which part of the picture
loader    batches ahead of the one that is learned from
augment   changes of geometry and colour, on the device
pack      all of it in one small file
"""
