"""The unmodified dhanhq package against a server that speaks DhanHQ: prints what it decodes, for as long as it has input.

Reads one JSON object from standard input: url, feed (live, 20, 200), code of the mode on the live feed, instruments as
pairs of segment number and security id. Further lines are lists of such pairs to unsubscribe on the live feed. Prints one JSON object a line: where it is from (live, or a side of a book) and
what the package made of it, which may be a text. Says goodbye as the package does when the input ends.
"""

import asyncio
import contextlib
import json
import os
import sys
import threading

from dhanhq import DhanContext
from dhanhq.fulldepth import FullDepth
from dhanhq.marketfeed import MarketFeed

GOODBYE_SECONDS = 10


def show(source, tick):
    print(json.dumps({"source": source, "tick": tick}), file=sys.__stdout__, flush=True)


def live(context, asked):
    MarketFeed.market_feed_wss = asked["url"]
    instruments = [(segment, number, asked["code"]) for segment, number in asked["instruments"]]

    def on_message(_feed, tick):
        show("live", tick)

    def on_error(_feed, error):
        print(repr(error), file=sys.stderr)

    def on_close(_feed):
        show("close", None)

    feed = MarketFeed(
        context, instruments, "v2", on_message=on_message, on_error=on_error, on_close=on_close
    )
    feed.start()
    return feed


def books(context, asked):
    level = int(asked["feed"])
    FullDepth.depth_20_feed_wss = FullDepth.depth_200_feed_wss = asked["url"]
    feed = FullDepth(context, [tuple(pair) for pair in asked["instruments"]], level)

    async def read():
        await feed.connect()
        while True:
            async for side in feed.get_instrument_data():
                show("books", side)

    threading.Thread(target=lambda: feed.loop.run_until_complete(read()), daemon=True).start()
    return feed


def main():
    asked = json.loads(sys.stdin.readline())
    context = DhanContext("1000000001", "token")
    # The package prints what happens, and the tests read the standard output.
    with contextlib.redirect_stdout(sys.stderr):
        feed = (live if asked["feed"] == "live" else books)(context, asked)
        for line in sys.stdin:
            # The package wants the code of the subscription, and makes that of its end.
            feed.unsubscribe_symbols([(segment, number, asked["code"]) for segment, number in json.loads(line)])
        asyncio.run_coroutine_threadsafe(feed.disconnect(), feed.loop).result(GOODBYE_SECONDS)
    sys.stdout.flush()
    os._exit(0)


main()
