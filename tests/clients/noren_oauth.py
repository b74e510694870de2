"""The unmodified NorenRestApi package, which the maker of the Noren family's servers gives out for log-ins with a page, against a
server that speaks Noren: exchanges a code for a token, and prints what it hands over of each instrument.

It has the same modules as NorenRestApiPy, and is installed in a folder of its own. Reads one JSON object from standard input:
api_url, ws_url, code, client, secret, user, mode (touchline or depth), keys. Prints one JSON object a line: the instrument by exchange
and token, and what its first message says. Exit code 0 when every instrument came.
"""

import json
import os
import sys

from noren_watch import watch

sys.path.insert(0, os.path.join(sys.prefix, "apart"))

from NorenRestApiPy.NorenApi import FeedType, NorenApi  # noqa: E402


def main():
    asked = json.loads(sys.stdin.readline())
    feed = FeedType.SNAPQUOTE if asked["mode"] == "depth" else FeedType.TOUCHLINE
    api = NorenApi(asked["api_url"], asked["ws_url"])
    if not api.getAccessToken(asked["code"], asked["secret"], asked["client"], asked["user"]):
        sys.exit("the code was refused")
    watch(api, feed, asked["keys"])


main()
