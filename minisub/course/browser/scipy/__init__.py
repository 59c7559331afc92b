"""A stand-in for scipy in a browser, where scipy would be 20 MB: what minisub's pages use of it.

Never on the path natively. A name that it does not know raises.
"""

__version__ = "0+minisub"
