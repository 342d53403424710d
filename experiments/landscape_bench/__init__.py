"""LandscapeBench: optimisers on landscapes whose truth is known. The grounds, the optimisers, the protocol, scores and page."""
