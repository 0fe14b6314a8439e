"""What startup.py shows of itself. Its processes are started in test_lambda_function.py and test_snapshot.py."""

from authorizer.startup import start


def test_what_a_process_has_shows_no_credentials() -> None:
    secret = "wJalr-secret"
    environ = {
        "HANKO_API_URL": "https://hanko.example.com",
        "HANKO_AUDIENCE": "app.example.com",
        "AWS_LAMBDA_INITIALIZATION_TYPE": "snap-start",  # connects to nothing
        "AWS_SECRET_ACCESS_KEY": secret,
    }
    started = start(environ)
    assert started.prefetch is None
    assert secret not in repr(started)
