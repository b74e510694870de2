"""The unmodified dhanhq package against a server that speaks DhanHQ: logs in in every way and reads the list of instruments.

Reads one JSON object from standard input: url, token, pin, totp, app_id, app_secret. Prints one JSON object: what the
package got for a one-time password, a renewal, and a consent, a profile, and the rows of the list.
"""

import contextlib
import json
import sys
import tempfile
import urllib.parse
import webbrowser

import requests
from dhanhq import DhanLogin
from dhanhq._security import Security

LIMIT_SECONDS = 30
COLUMNS = [
    "SEM_EXM_EXCH_ID",
    "SEM_SEGMENT",
    "SEM_SMST_SECURITY_ID",
    "SEM_LOT_UNITS",
    "SEM_STRIKE_PRICE",
    "SEM_OPTION_TYPE",
    "SEM_EXPIRY_DATE",
]


def consent(login, asked):
    opened = []
    # A person would log in on the page that the package opens.
    webbrowser.open = opened.append
    login.generate_login_session(asked["app_id"], asked["app_secret"])
    page = requests.get(opened[0], allow_redirects=False, timeout=LIMIT_SECONDS)
    query = urllib.parse.urlparse(page.headers["location"]).query
    token_id = urllib.parse.parse_qs(query)["tokenId"][0]
    return login.consume_token_id(token_id, asked["app_id"], asked["app_secret"])


def rows(url):
    Security.COMPACT_CSV_URL = url
    with tempfile.NamedTemporaryFile(suffix=".csv") as file:
        table = Security.fetch_security_list("compact", file.name)
    return json.loads(table[COLUMNS].to_json(orient="values"))


def main():
    asked = json.loads(sys.stdin.readline())
    DhanLogin.AUTH_BASE_URL, DhanLogin.API_BASE_URL = asked["url"], asked["url"] + "/v2"
    login = DhanLogin("1000000001")
    # The package prints what happens, and the tests read the standard output.
    with contextlib.redirect_stdout(sys.stderr):
        result = {
            "one_time_password": login.generate_token(asked["pin"], asked["totp"]),
            "profile": login.user_profile(asked["token"]),
            "renewal": login.renew_token(asked["token"]),
            "consent": consent(login, asked),
            "rows": rows(asked["url"] + "/api-data/api-scrip-master.csv"),
        }
    print(json.dumps(result))


main()
