from conftest import Sandbox
from events.sign import event_with
from local.hanko import StandInHanko


def test_smoke(sandbox: Sandbox, hanko: StandInHanko) -> None:
    assert sandbox.answer(event_with("http_v2", hanko.mint()))["isAuthorized"]
    logs, metrics = sandbox.records()
    assert len(logs) == len(metrics) == 1
