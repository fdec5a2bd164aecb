"""From the outputs of a recogniser to text, and from text to error rates.

Class 0 is the CTC blank everywhere; in attention decoding it marks both the start and the end of a sentence, so that
one vocabulary serves both. Labels are 1 to C - 1.
"""
