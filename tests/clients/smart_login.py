"""The unmodified smartapi-python package against a server that speaks SmartAPI: logs in, which asks for the profile too, renews
its tokens, and tries a wrong PIN.

Reads one JSON object from standard input: url, pin, totp. Prints one JSON object: what the package got each time.
"""

import json
import os
import sys
import tempfile

import requests

# The package writes a log into the folder that it is started in, and asks a server in the network for its address.
os.chdir(tempfile.mkdtemp())
network_get = requests.get


def no_network(*_arguments, **_options):
    raise OSError("no network in a test")


requests.get = no_network

from SmartApi.smartConnect import SmartConnect  # noqa: E402

requests.get = network_get


def main():
    asked = json.loads(sys.stdin.readline())

    def session():
        return SmartConnect(api_key="key", root=asked["url"])

    mine = session()
    got = {"log_in": mine.generateSession("A1", asked["pin"], asked["totp"])}
    got["profile"] = mine.getProfile(mine.refresh_token)
    got["renewal"] = mine.generateToken(mine.refresh_token)
    got["wrong_pin"] = session().generateSession("A1", "0000", asked["totp"])
    print(json.dumps(got))


main()
