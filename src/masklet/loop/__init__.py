"""The data engine: a model learns from what people annotated, and annotates what comes next.

project  the folder, what was asked, and the versions of the model
collect  what people annotated becomes training data, some of it held out
learn    a version is trained, and kept if it is better on what is held out, as any training may be judged
ahead    what nobody annotated yet is annotated by the model, for people to correct, and in which order they should
"""
