"""Stories told together: fixed slots, one step for all of them."""
