"""What every wing needs, and what knows nothing of segmentation.

errors       errors with a remedy
paths        where the project's files lie; safe replacement of files; names as parts of paths
hashing      SHA-256 of files, weights and code
environment  versions, processor, memory, devices
download     downloads that resume, are verified, and unpack safely
"""
