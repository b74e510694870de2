"""The unmodified smartapi-python package against a server that speaks SmartAPI: prints the last tick of each instrument.

Reads one JSON object from standard input: url, mode, lists (exchangeType, tokens), count. Prints one JSON object a line:
exchange type and number of the instrument, and the tick as the package decoded it. Exit code 0 when every one ticked.
"""

import json
import os
import sys
import tempfile
import threading

# The package writes a log into the folder that it is started in.
os.chdir(tempfile.mkdtemp())

from SmartApi.smartWebSocketV2 import SmartWebSocketV2  # noqa: E402

LIMIT_SECONDS = 60


def main():
    asked = json.loads(sys.stdin.readline())
    seen, done = {}, threading.Event()
    SmartWebSocketV2.ROOT_URI = asked["url"]
    socket = SmartWebSocketV2("Bearer jwt", "key", "A1", "feed", max_retry_attempt=0)

    def on_open(_socket):
        socket.subscribe("judge00001", asked["mode"], asked["lists"])

    def on_data(_socket, tick):
        seen[f"{tick['exchange_type']}:{tick['token']}"] = tick
        if len(seen) == asked["count"]:
            done.set()

    def on_error(*trouble):
        print(trouble, file=sys.stderr)

    socket.on_open, socket.on_data, socket.on_error = on_open, on_data, on_error
    threading.Thread(target=socket.connect, daemon=True).start()
    is_done = done.wait(LIMIT_SECONDS)
    for key, tick in sorted(seen.items()):
        print(json.dumps({"key": key, "tick": tick}))
    if not is_done:
        print(f"{len(seen)} of {asked['count']} instruments ticked", file=sys.stderr)
    sys.stdout.flush()
    os._exit(0 if is_done else 1)


main()
