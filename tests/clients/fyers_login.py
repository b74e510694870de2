"""The unmodified fyers-apiv3 package against a server that speaks Fyers: logs in, twice with one code, and with a wrong secret.

Reads one JSON object from standard input: url, app_id, secret, redirect_uri. Prints one JSON object: what the package got
each time.
"""

import json
import sys
import urllib.parse

import requests
from fyers_apiv3 import fyersModel

LIMIT_SECONDS = 30


def main():
    asked = json.loads(sys.stdin.readline())
    fyersModel.Config.API = asked["url"] + "/api/v3"

    def session(secret):
        return fyersModel.SessionModel(
            client_id=asked["app_id"],
            secret_key=secret,
            redirect_uri=asked["redirect_uri"],
            response_type="code",
            grant_type="authorization_code",
            state="a state",
        )

    mine = session(asked["secret"])
    # A person would log in on this page.
    page = requests.get(mine.generate_authcode(), allow_redirects=False, timeout=LIMIT_SECONDS)
    query = urllib.parse.parse_qs(urllib.parse.urlparse(page.headers["location"]).query)
    [code] = query["auth_code"]
    got = {"state": query["state"]}
    for name, one in [("wrong", session("wrong")), ("good", mine), ("again", mine)]:
        one.set_token(code)
        got[name] = one.generate_token()
    print(json.dumps(got))


main()
