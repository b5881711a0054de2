"""What is measured: models and baselines behind one interface, so that every protocol runs them all.

base      the interface: follow objects through a video, answer prompts in a picture
model     a model of masklet's, with its tracker and its image predictor
carried   baselines that carry masks from frame to frame
flow      by optical flow
grabcut   by colours
registry  baselines by name
"""
