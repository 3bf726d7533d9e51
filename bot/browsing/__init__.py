"""Stories found again and read: what `/stories` and the ⋯ menu show, and to whom."""
