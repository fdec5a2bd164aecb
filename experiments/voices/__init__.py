"""Voices of single words, told apart by a public network and what training speakers say of it."""
