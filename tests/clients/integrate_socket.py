"""The unmodified pyintegrate package against a server that speaks as Definedge's: logs in, reads the list of instruments, subscribes,
and prints what it hands over of each instrument.

Reads one JSON object from standard input: api_url, ws_url, list_url, token, secret, totp, mode (touchline or depth), keys. Prints one JSON
object a line: the instrument by exchange and token, and what its first message says; at last the number of rows of the list, as
`list`. Exit code 0 when every instrument came.
"""

import json
import os
import sys
import tempfile
import threading

import integrate.connect
from integrate import ConnectToIntegrate, IntegrateWebSocket

LIMIT_SECONDS = 60


def main():
    asked = json.loads(sys.stdin.readline())
    wanted, seen, done = set(asked["keys"]), {}, threading.Event()
    # It writes the list beside its own modules, and gets it from an address that cannot be set.
    integrate.connect.__file__ = os.path.join(tempfile.mkdtemp(), "connect.py")
    c2i = ConnectToIntegrate(login_url=asked["api_url"] + "/")
    request = c2i._req_sess.request

    def from_here(method, url, **options):
        return request(method, asked["list_url"] + "/allmaster.zip" if url.endswith("/allmaster.zip") else url, **options)

    c2i._req_sess.request = from_here
    c2i.login(asked["token"], asked["secret"], asked["totp"])
    iws = IntegrateWebSocket(c2i)
    kind = c2i.SUBSCRIPTION_TYPE_DEPTH if asked["mode"] == "depth" else c2i.SUBSCRIPTION_TYPE_TICK

    def on_login(iws):
        iws.subscribe(kind, [tuple(key.split("|")) for key in asked["keys"]])

    def on_acknowledgement(iws, tick):
        if tick["t"] in ("tk", "dk"):
            seen.setdefault(f"{tick['e']}|{tick['tk']}", tick)
        if wanted <= seen.keys():
            done.set()

    def on_exception(iws, error):
        print(error, file=sys.stderr)

    iws.on_login, iws.on_acknowledgement, iws.on_exception = on_login, on_acknowledgement, on_exception
    iws.connect(asked["ws_url"], daemonize=True, ssl_verify=False)
    is_done = done.wait(LIMIT_SECONDS)
    for key, tick in sorted(seen.items()):
        print(json.dumps({"key": key, "tick": tick}))
    print(json.dumps({"key": "list", "tick": sum(1 for _ in c2i.symbols)}))
    if not is_done:
        print(f"{len(seen)} of {len(wanted)} instruments came", file=sys.stderr)
    sys.stdout.flush()
    os._exit(0 if is_done else 1)


main()
