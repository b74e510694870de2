"""The unmodified NorenRestApiPy package against a server that speaks Noren: prints what it hands over of each instrument.

Reads one JSON object from standard input: ws_url, mode (touchline or depth), keys. Prints one JSON object a line: the instrument
by exchange and token, and what its first message says. Exit code 0 when every instrument came.
"""

import json
import sys

from noren_watch import watch
from NorenRestApiPy.NorenApi import FeedType, NorenApi


def main():
    asked = json.loads(sys.stdin.readline())
    feed = FeedType.SNAPQUOTE if asked["mode"] == "depth" else FeedType.TOUCHLINE
    api = NorenApi("http://127.0.0.1/", asked["ws_url"])
    api.set_session("FA0001", "", "token")
    watch(api, feed, asked["keys"])


main()
