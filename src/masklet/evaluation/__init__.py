"""How well something segments, measured by the protocols of the field.

methods    what is measured: models and their trackers, and baselines such as optical flow, behind one interface
protocols  what all protocols share: the annotator who clicks, prompts, answers and their scores
videos     what a method is asked on a video or a volume; images: on a picture
run        one measurement: all clips, in a folder, with masks as they are handed in and values; resumed where it was
           stopped
report     tables and a plot, and the worst clips to look at; several runs beside each other

scoring    folders of masks that any tool wrote, against those of the truth
"""
