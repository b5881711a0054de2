"""What a contender is asked on a clip, and how its answer is scored.

base             what every protocol gives
semi_supervised  video: the first mask, a box or clicks, then no more help
interactive      video: a simulated annotator corrects, offline or online; clicks saved
image_clicks     pictures: a box or clicks, one after another
everything       pictures: masks that nobody pointed at, against the annotated objects
tracking         video: objects told from each other, by the measures of multi-object tracking
"""
