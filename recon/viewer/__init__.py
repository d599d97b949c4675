"""Live view of results in a browser: samples of the continuous models, and the progress of runs, over HTTP."""
