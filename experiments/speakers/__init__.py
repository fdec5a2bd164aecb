"""What a recogniser gains from knowing who speaks: a vector of the speaker, and steps at learned rates."""
