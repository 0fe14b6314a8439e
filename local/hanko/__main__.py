"""`python -m local.hanko`: serve the stand-in until Ctrl-C or SIGTERM. The first line printed is its URL."""

import argparse
import contextlib
import signal
import sys
from collections.abc import Sequence

from local.hanko import StandInHanko
from local.hanko.loopback import port_number

STOP = {signal.SIGINT, signal.SIGTERM}


def main(argv: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(prog="python -m local.hanko", description="A stand-in Hanko on 127.0.0.1.")
    parser.add_argument("--port", type=port_number, default=0, help="default: a free one")
    parser.add_argument("--audience", default="localhost", help="aud of every token (default: localhost)")
    parser.add_argument("--issuer", help="iss of every session token (default: none, as in Hanko)")
    parser.add_argument("--tenant", help="a UUID: serve below /<tenant>, as a multi-tenant Hanko does")
    parser.add_argument("--tls", action="store_true", help="https, with a certificate authority made for this run")
    options = parser.parse_args(argv)
    signal.pthread_sigmask(signal.SIG_BLOCK, STOP)  # before any thread starts: all inherit it, and sigwait gets it
    try:
        stand_in = StandInHanko(**vars(options)).start()
    except OSError as error:
        sys.exit(f"port {options.port}: {error.strerror}. Choose another: make hanko PORT=...")
    with contextlib.closing(stand_in) as hanko:
        print(hanko.url, flush=True)
        print(usage(hanko), flush=True)
        signal.sigwait(STOP)


def usage(hanko: StandInHanko) -> str:
    """The commands to type next."""
    admin = f"{hanko.origin}/_admin"
    lines = [
        f"export HANKO_API_URL={hanko.url} HANKO_AUDIENCE={hanko.audience}",
        *([f"export SSL_CERT_FILE={hanko.ca_file}"] if hanko.ca_file else []),
        f"curl -d '{{}}' {admin}/tokens                          # a session token; claims, header, lifetime_seconds",
        f"curl -d '{{}}' {admin}/keys/rotate                     # a new key, signing at once",
        f'curl -d \'{{"mode":"status","code":500}}\' {admin}/behave  # until {{"mode":"normal"}}',
        f'curl -d \'{{"url":"http://127.0.0.1:9000","events":["session"]}}\' {admin}/webhooks/subscribe',
        f"curl {admin}/state",
        ".venv/bin/python -m local.sign http_v2                 # a sample event with a fresh token",
    ]
    return "\n".join(lines)


if __name__ == "__main__":
    main()
