"""Reports: a comparison as one page that somebody else can reproduce.

plan      what is compared, read from options or YAML
build     evaluate, write tables, manifest and page
check     evaluate again, and list what differs
findings  sentences and tables for the page
page      from executed notebook cells to one HTML file
"""
