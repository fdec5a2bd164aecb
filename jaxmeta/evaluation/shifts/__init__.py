"""What adaptation gives where speech differs from that of training: in its words, language, channel or speaker."""
