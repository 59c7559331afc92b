"""What pages need in a browser: stand-ins for torch and scipy, which only browsers have."""
