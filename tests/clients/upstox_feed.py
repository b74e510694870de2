"""The unmodified upstox-python-sdk against a server that speaks Upstox: prints what it hands over of each instrument.

Reads one JSON object from standard input: api_url, mode, keys, and code, client, secret and redirect of a log-in. Prints one JSON object a
line: the instrument by its key, and what its first message says. Exit code 0 when every instrument came.

The package has the broker's address as a literal, so its sockets are made by a class that is given the address that its REST interface
was told.
"""

import json
import os
import sys
import threading

import upstox_client
from upstox_client.feeder import market_data_feeder_v3

LIMIT_SECONDS = 60
BATCH = 100


def main():
    asked = json.loads(sys.stdin.readline())
    configuration = upstox_client.Configuration()
    configuration.host = asked["api_url"]
    configuration.access_token = upstox_client.LoginApi(upstox_client.ApiClient(configuration)).token(
        "2.0",
        code=asked["code"],
        client_id=asked["client"],
        client_secret=asked["secret"],
        redirect_uri=asked["redirect"],
        grant_type="authorization_code",
    ).access_token
    client = upstox_client.ApiClient(configuration)
    authorized = upstox_client.WebsocketApi(client).get_market_data_feed_authorize_v3()
    application = market_data_feeder_v3.websocket.WebSocketApp
    market_data_feeder_v3.websocket.WebSocketApp = lambda _, **options: application(
        authorized.data.authorized_redirect_uri, **options
    )

    wanted, seen, status, done = set(asked["keys"]), {}, {}, threading.Event()
    streamer = upstox_client.MarketDataStreamerV3(client)

    def on_open():
        keys = asked["keys"]
        for first in range(0, len(keys), BATCH):
            streamer.subscribe(keys[first : first + BATCH], asked["mode"])

    def on_message(message):
        status.update(message.get("marketInfo", {}).get("segmentStatus", {}))
        for key, feed in message.get("feeds", {}).items():
            seen.setdefault(key, dict(feed, currentTs=message.get("currentTs")))
        if wanted <= seen.keys():
            done.set()

    streamer.on("open", on_open)
    streamer.on("message", on_message)
    streamer.on("error", lambda error: print(error, file=sys.stderr))
    streamer.connect()
    is_done = done.wait(LIMIT_SECONDS)
    for key, tick in sorted(seen.items()):
        print(json.dumps({"key": key, "tick": tick}))
    print(json.dumps({"key": "status", "tick": status}))
    if not is_done:
        print(f"{len(seen)} of {len(wanted)} instruments came", file=sys.stderr)
    sys.stdout.flush()
    os._exit(0 if is_done else 1)


main()
