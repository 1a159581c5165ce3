"""Arguments to exit code: one thin file per command."""

import gc

# A listing makes 100,000 objects that live to the end, as do those of the modules: looking for
# garbage among them again and again takes a fifth of the time. So from the first import on.
gc.set_threshold(200_000, 20, 20)
