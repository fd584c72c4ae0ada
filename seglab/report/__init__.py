"""Reports: a comparison of models as one page, with everything needed to reproduce it.

plan      models, data sets and options of a report, from YAML or the command line
build     evaluates a plan, and writes tables, manifest and page
check     evaluates a report's plan again, and lists what differs
findings  sentences and tables for the page
inside    the board of the page: counts, thumbnails, and the worst images of each class
page      from executed notebook cells to one HTML file
command   `seglab report`
"""
