"""What a move between two platforms is judged by: phases, routing, verdicts, gates. Pure; time is passed in."""
