"""The unmodified NorenRestApi package, which the maker of the Noren family's servers gives out for log-ins with a page, against a
server that speaks Noren: exchanges a code for a token, and prints what it hands over of each instrument.

It has the same modules as NorenRestApiPy, and is installed in a folder of its own. Reads one JSON object from standard input:
api_url, ws_url, code, client, secret, user, mode (touchline or depth), keys. Prints one JSON object a line: the instrument by exchange
and token, and what its first message says. Exit code 0 when every instrument came.
"""

import json
import os
import sys
import threading

sys.path.insert(0, os.path.join(sys.prefix, "apart"))

from NorenRestApiPy.NorenApi import FeedType, NorenApi  # noqa: E402

LIMIT_SECONDS = 60


def main():
    asked = json.loads(sys.stdin.readline())
    wanted, seen, done = set(asked["keys"]), {}, threading.Event()
    feed = FeedType.SNAPQUOTE if asked["mode"] == "depth" else FeedType.TOUCHLINE
    api = NorenApi(asked["api_url"], asked["ws_url"])
    if not api.getAccessToken(asked["code"], asked["secret"], asked["client"], asked["user"]):
        sys.exit("the code was refused")

    def on_open():
        api.subscribe(asked["keys"], feed_type=feed)

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


main()
