"""The notebooks as a course.

checks     property checks behind the exercises
notebooks  run, normalise and check notebooks
studies    stored tables of longer studies
lab        start JupyterLab on the course
doctor     `seglab doctor`: is everything there?
"""
