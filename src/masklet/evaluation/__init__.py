"""How well something segments, measured by the protocols of the field.

methods       what is measured: models and baselines behind one interface
model         a model, with its tracker and its image predictor; baselines: optical flow and its like
protocols     what a method is asked on a clip, and how the answer is scored
annotator     who clicks
run           one measurement: all clips, in a folder; resumed where it was stopped
results       a run's folder: masks as they are handed in, and values
report        tables and a plot, and the worst clips to look at
compare       several runs beside each other

scoring       folders of masks that any tool wrote, against those of the truth
"""
