"""How well something segments, measured by the protocols of the field.

contenders   what is measured: models, and baselines with the same interface
protocols    what a contender is asked on a clip, and how the answer is scored
annotator    who clicks; submission: masks as they are handed in
run          one measurement: all clips, in a folder; resumed where it was stopped
spread       clips over this process, several processes, or a Ray cluster
results      what a run has found
report       tables, a plot, and the worst clips to look at
compare      several runs beside each other

scoring      folders of masks that any tool wrote, against folders of the truth
"""
