"""The unmodified kiteconnect package against a server that speaks Kite: prints the last tick of each instrument.

Reads one JSON object from standard input: url, mode, tokens. Prints one JSON object a line: the instrument's number and
the tick as the package decoded it, with times as seconds since the epoch. Exit code 0 when every instrument ticked.
"""

import datetime
import json
import os
import sys
import threading

from kiteconnect import KiteTicker

LIMIT_SECONDS = 60


def plain(value):
    if isinstance(value, datetime.datetime):
        return int(value.timestamp())
    raise TypeError(type(value))


def main():
    asked = json.loads(sys.stdin.readline())
    wanted, seen, done = set(asked["tokens"]), {}, threading.Event()
    ticker = KiteTicker("key", "token", root=asked["url"], reconnect=False)

    def on_connect(_socket, _response):
        ticker.subscribe(asked["tokens"])
        ticker.set_mode(asked["mode"], asked["tokens"])

    def on_ticks(_socket, ticks):
        for tick in ticks:
            # The state in the mode that comes with a subscription is not what was asked for.
            if tick["mode"] == asked["mode"]:
                seen[tick["instrument_token"]] = tick
        if wanted <= seen.keys():
            done.set()

    def on_trouble(_socket, code, reason):
        print(f"{code}: {reason}", file=sys.stderr)

    ticker.on_connect, ticker.on_ticks = on_connect, on_ticks
    ticker.on_error = ticker.on_close = on_trouble
    ticker.connect(threaded=True)
    is_done = done.wait(LIMIT_SECONDS)
    for token, tick in sorted(seen.items()):
        print(json.dumps({"key": str(token), "tick": tick}, default=plain))
    if not is_done:
        print(f"{len(seen)} of {len(wanted)} instruments ticked", file=sys.stderr)
    sys.stdout.flush()
    # The reactor of the package runs in a thread that does not end by itself.
    os._exit(0 if is_done else 1)


main()
