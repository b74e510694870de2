"""The unmodified OpenAlgo SDK against a running host: subscribes, checks what its callbacks get, unsubscribes.

With --until-eof it goes on until its standard input ends, and leaves without unsubscribing, which takes 0.1 s a symbol.

Prints one JSON object for each callback; the SDK prints lines of its own, which are none. Exit code 0 when enough
callbacks came and every symbol was among them. The key is read from TICKHOST_API_KEY.
"""

import argparse
import json
import os
import sys
import threading
import time

from openalgo import api


def arguments():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--url", required=True, help="address of the host, ws://...")
    parser.add_argument("--symbols", required=True, help="EXCHANGE:SYMBOL,...")
    parser.add_argument("--mode", choices=["ltp", "quote", "depth"], required=True)
    parser.add_argument("--count", type=int, default=10, help="callbacks to wait for")
    parser.add_argument("--until-eof", action="store_true", help="go on until standard input ends")
    parser.add_argument("--timeout", type=float, default=30, help="seconds to wait for them")
    return parser.parse_args()


def mistake(event, mode, wanted):
    """What is wrong with a callback's argument, or None."""
    name = (event.get("exchange"), event.get("symbol"))
    if name not in wanted:
        return f"{name} was not subscribed"
    data = event.get("data") or {}
    if not data.get("ltp", 0) > 0:
        return "no last price"
    if mode == "quote" and not data.get("low", 0) <= data["ltp"] <= data.get("high", 0):
        return "the last price is outside of the day's range"
    if mode == "depth":
        book = data.get("depth") or {}
        bids, asks = ([level["price"] for level in book.get(side) or []] for side in ("buy", "sell"))
        if not bids or not asks:
            return "an empty book"
        if bids != sorted(bids, reverse=True) or asks != sorted(asks) or bids[0] >= asks[0]:
            return "a book that is not sorted best first"
    return None


def main():
    args = arguments()
    instruments = [
        dict(zip(("exchange", "symbol"), name.split(":", 1), strict=True)) for name in args.symbols.split(",")
    ]
    wanted = {(instrument["exchange"], instrument["symbol"]) for instrument in instruments}
    seen, mistakes, count, is_done = set(), [], 0, threading.Event()

    def on_data(event):
        nonlocal count
        print(json.dumps(event), flush=True)
        # The SDK hides what a callback raises, so that a fault would look like silence.
        try:
            wrong = mistake(event, args.mode, wanted)
        except (AttributeError, KeyError, TypeError) as error:
            wrong = f"not of the usual form ({error!r})"
        if wrong:
            mistakes.append(f"{wrong}: {json.dumps(event)}")
        seen.add((event.get("exchange"), event.get("symbol")))
        count += 1
        if mistakes or (count >= args.count and seen == wanted):
            is_done.set()

    key = os.environ.get("TICKHOST_API_KEY") or sys.exit("TICKHOST_API_KEY is not set")
    client = api(api_key=key, host="http://127.0.0.1:5000", ws_url=args.url)
    if not client.connect():
        sys.exit("the SDK could not connect")
    subscribe, unsubscribe = {
        "ltp": (client.subscribe_ltp, client.unsubscribe_ltp),
        "quote": (client.subscribe_quote, client.unsubscribe_quote),
        "depth": (client.subscribe_depth, client.unsubscribe_depth),
    }[args.mode]
    if not subscribe(instruments, on_data_received=on_data):
        sys.exit("the SDK could not subscribe")
    if args.until_eof:
        sys.stdin.read()
        client.disconnect()
        sys.exit(mistakes[0] if mistakes else None)
    started = time.monotonic()
    in_time = is_done.wait(args.timeout)
    took = time.monotonic() - started
    unsubscribe(instruments)
    client.disconnect()
    if mistakes:
        sys.exit(mistakes[0])
    if not in_time:
        missing = ", ".join(":".join(name) for name in sorted(wanted - seen)) or "no symbol"
        sys.exit(f"{count} of {args.count} callbacks in {took:.1f} s; nothing for {missing}")


if __name__ == "__main__":
    main()
