"""Who is speaking: scores, their calibration, enrolment as a folder, and what only an accepted speaker may do.

Above training: it joins models, learners and data, for the command line and the experiments.
"""
