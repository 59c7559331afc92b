"""The exercises of the pages, a module a page."""
