"""A map of where adaptation pays: words, languages, channels and speakers that training lacked."""
