"""What pages need in a browser: a stand-in for torch, which only browsers have on their path."""
