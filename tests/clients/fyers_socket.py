"""The unmodified fyers-apiv3 package against a server that speaks Fyers: prints what it decodes, for as long as it has input.

Reads one JSON object from standard input: url of the server, feed (hsm, tbt), token as app and token, symbols; for hsm
also is_lite and data (SymbolUpdate, DepthUpdate). Prints one JSON object a line: what the package calls back with, and for
a tick of the HSM socket also the state behind it, which has the values that the package does not show.
"""

import json
import os
import sys
import tempfile
import warnings

# The package writes logs into the folder that it is started in.
os.chdir(tempfile.mkdtemp())
warnings.filterwarnings("ignore", message="pkg_resources is deprecated")

import requests  # noqa: E402
from fyers_apiv3.FyersWebsocket.data_ws import FyersDataSocket  # noqa: E402
from fyers_apiv3.FyersWebsocket.tbt_ws import FyersTbtSocket, SubscriptionModes  # noqa: E402

# Servers whose addresses the package has in its code.
SERVERS = ("https://api-t1.fyers.in", "https://public.fyers.in")
CHANNEL = "7"


def show(kind, value, **more):
    print(json.dumps({kind: value, **more}), flush=True)


def redirect(target):
    """Lets all requests of the package go to another server."""
    request = requests.Session.request

    def elsewhere(session, method, url, **named):
        for server in SERVERS:
            url = url.replace(server, target)
        return request(session, method, url, **named)

    requests.Session.request = elsewhere


def prices(asked):
    def on_message(message):
        if "symbol" not in message:
            show("control", message)
            return
        topics = socket.symbol_token.items()
        topic = next(topic for topic, symbol in topics if symbol == message["symbol"])
        show("tick", message, topic=topic, state=socket.resp[topic])

    def on_connect():
        socket.subscribe(symbols=asked["symbols"], data_type=asked["data"])

    socket = FyersDataSocket(
        access_token=asked["token"],
        litemode=asked["is_lite"],
        reconnect=False,
        on_message=on_message,
        on_error=lambda error: show("error", error if isinstance(error, dict) else repr(error)),
        on_connect=on_connect,
        on_close=lambda message: show("close", message),
    )
    address = asked["url"].replace("http", "ws", 1) + "/hsm/v1-5/prod"
    setattr(socket, "_FyersDataSocket__url", address)
    socket.connect()
    for line in sys.stdin:
        command, *arguments = line.split()
        if command == "unsubscribe":
            socket.unsubscribe(symbols=asked["symbols"], data_type=asked["data"])
        elif command == "channel":
            # It pauses the channel that was used last, and resumes this one if it knows it.
            socket.channel_resume(int(arguments[0]))


def books(asked):
    def on_depth_update(symbol, depth):
        show("tick", {"symbol": symbol, **vars(depth)})

    socket = FyersTbtSocket(
        access_token=asked["token"],
        reconnect=False,
        on_depth_update=on_depth_update,
        on_error_message=lambda text: show("error", text),
        on_error=lambda error: show("error", repr(error)),
        on_close=lambda message: show("close", message),
    )
    socket.connect()
    # What is subscribed while the connection opens is subscribed again by the package when it is open.
    socket.subscribe(set(asked["symbols"]), CHANNEL, SubscriptionModes.DEPTH)
    socket.switchChannel({CHANNEL}, set())
    for command in sys.stdin:
        if command.strip() == "unsubscribe":
            socket.unsubscribe(set(asked["symbols"]), CHANNEL, SubscriptionModes.DEPTH)


def main():
    asked = json.loads(sys.stdin.readline())
    redirect(asked["url"])
    (prices if asked["feed"] == "hsm" else books)(asked)
    sys.stdout.flush()
    # The threads of the package do not end by themselves.
    os._exit(0)


main()
