"""Who is speaking and what is said: verification, recognition, and both fused in one network."""
