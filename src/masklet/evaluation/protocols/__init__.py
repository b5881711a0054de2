"""What a method is asked on a clip, and how its answer is scored.

base          what every protocol gives; J and F of answers
vos           video: a mask, a box or clicks once, then no more help; J and F, or HOTA and its like
interactive   video: a simulated annotator corrects, offline or online
clicks_saved  video: clicks that a tracker saves
images        pictures: a box or clicks, one after another; masks of everything
"""
