"""Child processes that do not outlive their parent."""

from __future__ import annotations

import os
import threading
import time

_LOOK_EVERY_S = 0.2


def end_with_parent() -> None:
    """End this process soon after its parent is gone, however that went.

    A parent killed with SIGKILL cannot tell its children; one that stayed
    would hold the port, or work beside the workers of the next start.
    """
    parent = os.getppid()

    def watch() -> None:
        while os.getppid() == parent:
            time.sleep(_LOOK_EVERY_S)
        os._exit(1)

    threading.Thread(target=watch, name="end-with-parent", daemon=True).start()
