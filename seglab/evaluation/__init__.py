"""Evaluation: models × data set → counts → tables.

store         the counts, in SQLite: writing them
files         the SQLite files of a store
sums          sums by which damage to a file is noticed
reading       the tables of a store, checked
evaluators    what can be evaluated: a model, or label maps of another program
loop          `evaluate`
measurements  the store read into arrays of one class set
results       `Results`: every table
published     published values beside measured ones
command       `seglab evaluate`
"""
