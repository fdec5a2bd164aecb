"""Meta-learners, one short file each; every factory returns a MetaLearner."""
