"""The unmodified pya3 package against a server that speaks as Alice Blue's: makes a session for sockets, subscribes, and prints what
it hands over of each instrument; then opens the socket of orders, and prints the first order.

Reads one JSON object from standard input: api_url, ws_url, order_url, user, session, mode (touchline or depth), keys. Prints one JSON object
a line: the instrument by exchange and token, and what its first message says; at last the order, as `order`. Exit code 0 when
everything came.
"""

import json
import os
import sys
import threading
import types

# What the package imports for lists and for a terminal, neither of which is used here.
for name in ("pandas", "rel"):
    sys.modules.setdefault(name, types.ModuleType(name))

from pya3 import alicebluepy  # noqa: E402

LIMIT_SECONDS = 60


def main():
    asked = json.loads(sys.stdin.readline())
    wanted, seen, done, ordered = set(asked["keys"]), {}, threading.Event(), threading.Event()
    # It prints where it stands.
    out, sys.stdout = sys.stdout, sys.stderr
    alicebluepy.Aliceblue.base_url = asked["api_url"] + "/"
    alicebluepy.Aliceblue._sub_urls["base_url_socket"] = asked["ws_url"]
    alice = alicebluepy.Aliceblue(asked["user"], "", session_id=asked["session"])

    def on_message(message):
        tick = json.loads(message)
        if tick["t"] in ("ck", "cf"):
            alice.subscribe(
                [alicebluepy.Instrument(*key.split("|"), None, None, None, None) for key in asked["keys"]]
            )
        if tick["t"] in ("tk", "dk"):
            seen.setdefault(f"{tick['e']}|{tick['tk']}", tick)
        if wanted <= seen.keys():
            done.set()

    alice.start_websocket(
        subscription_callback=on_message, run_in_background=True, market_depth=asked["mode"] == "depth"
    )
    is_done = done.wait(LIMIT_SECONDS)
    for key, tick in sorted(seen.items()):
        print(json.dumps({"key": key, "tick": tick}), file=out)
    if not is_done:
        print(f"{len(seen)} of {len(wanted)} instruments came", file=sys.stderr)

    # It prints what comes on the socket of orders.
    def told(*words):
        for word in words:
            if isinstance(word, str) and '"norenordno"' in word:
                print(json.dumps({"key": "order", "tick": json.loads(word)}), file=out)
                ordered.set()

    alicebluepy.print = told
    alice.get_session_id = lambda: {"sessionID": asked["session"]}
    alicebluepy.Aliceblue.create_websocket_url = asked["order_url"] + "/ws/createWsToken"
    alicebluepy.Aliceblue.websocket_url = asked["order_url"].replace("http", "ws", 1) + "/websocket"
    threading.Thread(target=alice.connect_webcoscket, args=(asked["user"],), daemon=True).start()
    is_done = ordered.wait(LIMIT_SECONDS) and is_done
    out.flush()
    os._exit(0 if is_done else 1)


main()
