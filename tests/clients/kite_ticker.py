"""Zerodha's own client, unmodified, against a venue: subscribes to tokens, and prints the last tick of each as one JSON object.

The key and the token are read from KITE_API_KEY and KITE_ACCESS_TOKEN. Exit code 0 when every token has ticked in the mode.
"""

import argparse
import json
import os
import sys
import threading

from kiteconnect import KiteTicker


def arguments():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--url", required=True, help="address of the venue, ws://...")
    parser.add_argument("--mode", choices=["ltp", "quote", "full"], required=True)
    parser.add_argument("--timeout", type=float, default=30, help="seconds until it gives up")
    parser.add_argument("tokens", type=int, nargs="+")
    return parser.parse_args()


def main():
    args = arguments()
    wanted, ticks, failures = set(args.tokens), {}, []
    ticker = KiteTicker(
        os.environ["KITE_API_KEY"], os.environ["KITE_ACCESS_TOKEN"], root=args.url, reconnect=False
    )

    def on_connect(ws, _response):
        ws.subscribe(args.tokens)
        ws.set_mode(args.mode, args.tokens)

    def on_ticks(_ws, received):
        for tick in received:
            if tick["mode"] == args.mode:
                ticks[tick["instrument_token"]] = tick
        if wanted <= set(ticks):
            ticker.stop()

    def on_error(_ws, code, reason):
        failures.append(f"{code}: {reason}")
        ticker.stop()

    def give_up():
        failures.append(f"{len(wanted - set(ticks))} of {len(wanted)} tokens did not tick")
        ticker.stop()

    ticker.on_connect, ticker.on_ticks, ticker.on_error = on_connect, on_ticks, on_error
    timer = threading.Timer(args.timeout, give_up)
    timer.daemon = True
    timer.start()
    ticker.connect()
    timer.cancel()
    if failures:
        sys.exit(failures[0])
    # Its times are naive, and of this machine's zone.
    json.dump(ticks, sys.stdout, default=lambda time: int(time.timestamp()))


if __name__ == "__main__":
    main()
