"""What is made of a run's values: tables, a plot, and the worst clips as pictures.

numbers  how a value is shown
tables   CSV, JSON and Markdown
plot     every clip's main measure
worst    the clips with the lowest values, drawn
write    all of these, into the run's folder
"""
