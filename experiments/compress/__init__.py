"""Does a compressed model still adapt, and does an adapted one still compress?"""
