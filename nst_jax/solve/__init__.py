"""How it is minimised: solvers, and the one loop that drives them."""
