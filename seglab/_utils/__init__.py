"""What every wing uses, independent of segmentation.

errors       errors with a remedy, and how a command prints them
paths        the project's folders, safe replacement of files, names as parts of paths
folders      the rule for folders that commands write into: a mark, a lock
text         text from elsewhere on a terminal and in CSV
hashing      SHA-256 of files, weights and code
environment  versions, processor, memory, devices
download     downloads that resume and are verified; archives that unpack safely
"""
