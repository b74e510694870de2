"""Angel One's own client, unmodified, against a venue: subscribes to tokens, and prints the last packet of each as one JSON
object with keys "TYPE:TOKEN".

The credentials are read from SMART_JWT, SMART_API_KEY, SMART_CLIENT_CODE and SMART_FEED_TOKEN. Exit code 0 when every token
has ticked in the mode.
"""

import argparse
import json
import os
import sys
import threading

from SmartApi.smartWebSocketV2 import SmartWebSocketV2


def arguments():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--url", required=True, help="address of the venue, ws://...")
    parser.add_argument("--mode", type=int, choices=[1, 2, 3], required=True)
    parser.add_argument("--timeout", type=float, default=30, help="seconds until it gives up")
    parser.add_argument("tokens", nargs="+", metavar="TYPE:TOKEN")
    return parser.parse_args()


def main():
    args = arguments()
    wanted, packets, failures = set(args.tokens), {}, []
    by_type = {}
    for name in args.tokens:
        exchange_type, token = name.split(":", 1)
        by_type.setdefault(int(exchange_type), []).append(token)
    client = SmartWebSocketV2(
        *(os.environ[name] for name in ("SMART_JWT", "SMART_API_KEY", "SMART_CLIENT_CODE", "SMART_FEED_TOKEN")),
        max_retry_attempt=0,
    )
    client.ROOT_URI = args.url

    def on_open(_ws):
        tokens = [{"exchangeType": kind, "tokens": of_kind} for kind, of_kind in by_type.items()]
        client.subscribe("judge00001", args.mode, tokens)

    def on_data(_ws, packet):
        packets[f"{packet['exchange_type']}:{packet['token']}"] = packet
        if wanted <= set(packets):
            client.close_connection()

    def give_up():
        failures.append(f"{len(wanted - set(packets))} of {len(wanted)} tokens did not tick")
        client.close_connection()

    client.on_open, client.on_data = on_open, on_data
    client.on_error = lambda *error: failures.append(str(error))
    timer = threading.Timer(args.timeout, give_up)
    timer.daemon = True
    timer.start()
    # What the client prints of itself is no result.
    stdout, sys.stdout = sys.stdout, sys.stderr
    client.connect()
    sys.stdout = stdout
    timer.cancel()
    if not wanted <= set(packets):
        sys.exit(failures[0] if failures else "the connection ended too early")
    json.dump(packets, sys.stdout)


if __name__ == "__main__":
    main()
