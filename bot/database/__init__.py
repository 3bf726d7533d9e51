"""The one truth: stories (the queue is their own rows), ratings, servers, audit."""
