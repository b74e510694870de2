"""What the clients of the Noren family's packages have in common: they subscribe, and print what they were handed over."""

import json
import os
import sys
import threading

LIMIT_SECONDS = 60


def watch(api, feed, keys):
    """Subscribes to instruments (`NSE|3045`), prints one JSON object a line, the instrument by exchange and token and what its first
    message says, and ends the process: with 0 when every instrument came. `api` is logged in; it is a NorenApi of either package.
    """
    wanted, seen, done = set(keys), {}, threading.Event()

    def on_open():
        api.subscribe(keys, feed_type=feed)

    def on_tick(tick):
        seen.setdefault(f"{tick['e']}|{tick['tk']}", tick)
        if wanted <= seen.keys():
            done.set()

    def on_trouble(error):
        print(error, file=sys.stderr)

    api.start_websocket(
        subscribe_callback=on_tick, socket_open_callback=on_open, socket_error_callback=on_trouble
    )
    is_done = done.wait(LIMIT_SECONDS)
    for key, tick in sorted(seen.items()):
        print(json.dumps({"key": key, "tick": tick}))
    if not is_done:
        print(f"{len(seen)} of {len(wanted)} instruments came", file=sys.stderr)
    sys.stdout.flush()
    os._exit(0 if is_done else 1)
