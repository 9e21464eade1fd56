"""What the Python scripts share: the server under test, its credentials, and a token."""

import os

import requests

BASE = os.environ["FHIR_BASE"]
TOKEN_URL = os.environ["TOKEN_URL"]
CLIENT_ID = os.environ["CLIENT_ID"]
CLIENT_SECRET = os.environ["CLIENT_SECRET"]
# Sets the resources of one run apart from those of another.
RUN = os.environ["RUN"]


def token():
    """An access token by client credentials (RFC 6749 section 4.4)."""
    answer = requests.post(
        TOKEN_URL,
        data={"grant_type": "client_credentials"},
        auth=(CLIENT_ID, CLIENT_SECRET),
        timeout=30,
    )
    answer.raise_for_status()
    return answer.json()["access_token"]


def raises(kind, call):
    """The error of `kind` that `call` must raise."""
    try:
        call()
    except kind as error:
        return error
    raise AssertionError(f"expected {kind.__name__}")
