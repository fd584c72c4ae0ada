"""The notebooks as a course.

checks     checks of exercises
notebooks  run, normalise and check notebooks
studies    stored results of longer studies
lab        start JupyterLab on the course
doctor     `seglab doctor`: checks of the installation
"""
