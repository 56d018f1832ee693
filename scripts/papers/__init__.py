"""The parts of scripts/reproduce.py: experiments of the literature, and their laws."""
