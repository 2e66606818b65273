"""The guard before the server, without a network: who may change anything, how large and how slow
a request may be, and what an error says.
"""

import asyncio
import json
import logging
from types import SimpleNamespace

import pytest

pytest.importorskip("fastapi", reason="`pip install prodrec[serve]` to test the server")
import pydantic
import sqlalchemy as sa
from uvicorn.config import Config
from uvicorn.server import ServerState

from prodrec.apps.batching import Overloaded
from prodrec.apps.decoding import UploadError
from prodrec.apps.guards import (
    CODES,
    HEADERS,
    INSIDE,
    Body,
    Exchange,
    Guard,
    Impatient,
    Limits,
    Refused,
    as_headers,
    call,
    head_problem,
    host_name,
    is_ours,
    key_problem,
    log_refusal,
    needs_key,
    refusal,
    send_problem,
)
from prodrec.core import ImageError
from prodrec.recommend.database import DatabaseAway
from prodrec.recommend.filters import json_object


def test_names_of_hosts():
    for text, name in [
        ("Shop.Example:8000", "shop.example"),
        (" a ", "a"),
        ("[::1]:80", "[::1]"),
        ("[::1]", "[::1]"),
        ("a:80:90", "a:80"),
        ("", ""),
    ]:
        assert host_name(text) == name


@pytest.mark.parametrize(
    "given", ["secre", "secret2", "s", "", "Secret", "secret ", "secretsecret", "\N{SNOWMAN}"]
)
def test_only_the_whole_key_is_the_key(given):
    assert key_problem("secret", given)[0] == 401
    assert key_problem("secret", "secret") is None
    assert key_problem(None, given)[0] == 403 and key_problem(None, "secret")[0] == 403


def test_what_needs_a_key():
    for method in ("POST", "PUT", "DELETE", "PATCH"):
        for path in ("/feedback", "/reload", "/products", "/products/x"):
            assert needs_key(method, path), (method, path)
    assert not needs_key("GET", "/products") and not needs_key("POST", "/recommend")
    assert not needs_key("GET", "/feedback") and not needs_key("POST", "/classify")
    for method in ("POST", "PUT", "DELETE", "PATCH"):  # of somebody's own
        assert needs_key(method, "/wipe") and not needs_key(method, "/ask", keyless=("/ask",))
    assert not needs_key("GET", "/wipe") and not needs_key("HEAD", "/wipe")


def test_no_route_that_only_reads_needs_a_key_and_every_other_does():
    from unittest.mock import Mock

    from prodrec.apps.routes import changing_routes, reading_routes

    reads, changes = reading_routes(Mock()), changing_routes(Mock())
    assert not any(needs_key(method, path) for method, path, *_ in reads)
    assert all(needs_key(method, path) for method, path, *_ in changes)
    assert {path for method, path, *_ in reads if method == "POST"} == {*Limits.keyless}


def scope(method="GET", path="/filters", host="localhost", **headers) -> dict:
    sent = {"host": host} | {name.replace("_", "-"): text for name, text in headers.items()}
    return {"method": method, "path": path, "headers": as_headers(sent)}


SMALL = Limits(max_body=1_000, max_json=100, max_import=5_000)


@pytest.mark.parametrize(
    "asked, status",
    [
        (scope(), None),
        (scope(host="evil.example"), 400),
        (scope(path="/health", host="evil.example"), None),
        (scope(path="/ready", host="evil.example"), None),
        (scope(host="localhost:8000"), None),
        (scope("POST", "/feedback"), 401),
        (scope("POST", "/feedback", x_api_key="secre"), 401),
        (scope("POST", "/feedback", x_api_key="secret"), None),
        (scope("POST", "/recommend", content_length="100"), None),
        (scope("POST", "/recommend", content_length="101"), 413),
        (scope("POST", "/recommend", content_length="-1"), 413),
        (scope("POST", "/recommend", content_length="\N{SUPERSCRIPT TWO}"), 413),
        (scope("POST", "/recommend", content_length="000000000000100"), None),
        (scope("POST", "/recommend", content_length="0000000000000100"), 413),
    ],
)
def test_a_head_is_looked_at_first(asked, status):
    found = head_problem(asked, SMALL, "secret")
    assert (found and found[0]) == status


def test_the_key_is_looked_at_before_the_size():
    large = scope("POST", "/feedback", content_length="999999")
    assert head_problem(large, SMALL, "secret")[0] == 401
    assert head_problem(scope(host="any"), Limits(hosts=("*",)), None) is None


@pytest.mark.parametrize(
    "method, path, kind, most",
    [
        ("POST", "/products", "text/csv", 5_000),
        ("PUT", "/products/x", "multipart/form-data; boundary=a", 1_000),
        ("PUT", "/products/x", "application/json", 100),
        ("GET", "/products", "", 100),
        ("POST", "/recommend", "application/x-www-form-urlencoded", 400),
        ("POST", "/recommend", "application/json", 100),
        ("POST", "/feedback", "multipart/form-data", 100),
    ],
)
def test_each_kind_of_body_has_its_limit(method, path, kind, most):
    assert SMALL.body_of(method, path, kind) == most
    assert Limits().body_of("POST", "/feedback", "application/json") == 10_000


def test_the_limits_where_nothing_is_said():
    limits = Limits()
    assert (limits.max_body, limits.max_json, limits.max_import) == (10**7, 10**5, 4 * 10**9)
    assert limits.patience == 20 and limits.rate is None and limits.origins == ()
    assert limits.hosts == ("localhost", "127.0.0.1", "[::1]")
    form = "application/x-www-form-urlencoded; charset=utf-8"
    assert limits.body_of("POST", "/recommend", form) == 4 * 10**5
    assert Limits(max_json=500).body_of("POST", "/feedback", "") == 500
    assert limits.body_of("PUT", "/products", "") == 10**5


def pieces(*parts: bytes, more: bool = False, wait: float = 0.0):
    "A `receive` of ASGI that gives these parts."
    left = list(parts)

    async def receive():
        await asyncio.sleep(wait)
        if not left:
            return {"type": "http.disconnect"}
        return {"type": "http.request", "body": left.pop(0), "more_body": more or bool(left)}

    return receive


def test_a_body_is_counted_while_it_comes_in():
    async def read(parts, most):
        body, got = Body(pieces(*parts), most, 5), b""
        while True:
            message = await body.receive()
            got += message["body"]
            if not message["more_body"]:
                return got, (await body.receive())["type"]

    assert asyncio.run(read([b"abc", b"de"], 5)) == (b"abcde", "http.disconnect")
    with pytest.raises(Refused, match="larger than 4 bytes") as e:
        asyncio.run(read([b"abc", b"de"], 4))
    assert e.value.status == 413


@pytest.mark.parametrize("each", [False, True])
def test_a_body_that_drips_has_one_deadline_unless_it_is_an_import(each):
    async def read():
        body = Body(pieces(*[b"x"] * 5, wait=0.3), 100, 1.0, each)
        for _ in range(5):
            await body.receive()

    if each:
        asyncio.run(read())
    else:
        with pytest.raises(Refused, match="within 1 seconds") as e:
            asyncio.run(read())
        assert e.value.status == 408


def raised(call, *args) -> Exception:
    try:
        call(*args)
    except Exception as e:
        return e
    raise AssertionError("nothing was raised")


def foreign(e: Exception):
    raise e


def test_errors_of_ours_are_told_and_those_of_libraries_are_not():
    ours = raised(json_object, "{", "where", "{}")
    assert is_ours(ours) and refusal(ours) == (422, str(ours), {})
    theirs = raised(foreign, ValueError("/home/anna/secret"))
    assert not is_ours(theirs) and refusal(theirs) == (500, INSIDE, {})
    assert not is_ours(ValueError("never raised"))
    for e in (KeyError("there is no x"), RuntimeError("a reload is under way")):
        assert refusal(raised(foreign, e))[0] == 500


def in_a_module_of_ours(e: Exception) -> Exception:
    "The error as if a module of the package had raised it."
    space = {"__name__": "prodrec.apps.live", "e": e}
    exec("def raises():\n    raise e", space)  # noqa: S102
    return raised(space["raises"])


def test_the_status_of_each_kind_of_error():
    gone = in_a_module_of_ours(KeyError("there is no product 'x'"))
    assert refusal(gone) == (404, "there is no product 'x'", {})
    assert refusal(in_a_module_of_ours(KeyError("x")))[0] == 500  # a slip of ours, not of theirs
    under_way = in_a_module_of_ours(RuntimeError("a reload is under way"))
    assert refusal(under_way)[0] == 409
    assert refusal(in_a_module_of_ours(RuntimeError("something")))[0] == 500
    busy = refusal(Overloaded(3.4))
    assert (busy[0], busy[2]) == (503, {"Retry-After": "3"})
    assert refusal(UploadError("too large", "9 MB"))[:2] == (413, "picture: 9 MB")
    assert refusal(UploadError("unreadable", ""))[:2] == (415, "picture: unreadable")
    status, told, _ = refusal(ImageError("missing", "/srv/private.jpg"))
    assert status == 422 and "private" not in told
    kinds = (sa.exc.OperationalError, sa.exc.InterfaceError)
    down = [kind("SELECT 'anna'", {}, Exception("down")) for kind in kinds]
    for error in [*down, DatabaseAway("anna")]:
        status, told, headers = refusal(error)
        assert (status, headers) == (503, {"Retry-After": "2"}) and "anna" not in told


def test_what_is_not_told_is_logged(caplog):
    with caplog.at_level(logging.ERROR, "prodrec.server"):
        log_refusal(raised(json_object, "{", "where", "{}"))
        log_refusal(Overloaded(1))
        log_refusal(UploadError("unreadable", ""))
        assert not caplog.records
        log_refusal(raised(foreign, ValueError("inside")))
        log_refusal(ImageError("missing", "/srv/a.jpg"))
    assert [r.getMessage() for r in caplog.records] == ["answered 500", "answered 422"]


def test_a_problem_is_json_with_a_code():
    sent = []

    async def send(message):
        sent.append(message)

    asyncio.run(send_problem(send, 429, "slower", {"Retry-After": "2"}))
    head, body = sent
    headers = dict(head["headers"])
    assert head["status"] == 429 and headers[b"retry-after"] == b"2"
    assert json.loads(body["body"]) == {"code": "too_many", "detail": "slower"}
    assert int(headers[b"content-length"]) == len(body["body"])
    asyncio.run(send_problem(send, 418, "x"))
    assert json.loads(sent[-1]["body"])["code"] == "error"


async def echo(scope, receive, send):
    "An application that reads its body and tells its size and its path."
    size, more = 0, True
    while more:
        message = await receive()
        size, more = size + len(message.get("body", b"")), message.get("more_body", False)
    headers = [(b"x-own", b"1"), (b"referrer-policy", b"mine")]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": f"{scope['path']} {size}".encode()})


def guarded(app=echo, **options) -> Guard:
    return Guard(app, Limits(**options), "secret")


def ask(guard, *args, **options):
    return asyncio.run(call(guard, *args, **options))


def test_a_guard_lets_through_what_keeps_to_the_limits():
    seen = []
    guard = Guard(echo, Limits(), "secret", lambda: {"X-Model": "m"}, seen.append)
    status, body, headers = ask(guard, "POST", "/v1/recommend", body=b"abc")
    assert (status, body) == (200, b"/recommend 3")
    assert headers["x-own"] == "1" and headers["x-model"] == "m"
    assert headers["referrer-policy"] == "mine"  # of the application: it is not sent twice
    assert all(headers[name.lower()] for name in HEADERS)
    assert len(headers["x-request-id"]) == 32
    assert (seen[0].status, seen[0].size, seen[0].path) == (200, len(body), "none")
    assert ask(guard, "GET", "/v10/x")[1] == b"/v10/x 0"  # no version
    for given, kept in (("mine-1", True), ("a" * 64, True), ("a" * 65, False), ("a b", False)):
        told = ask(guard, "GET", "/", {"X-Request-ID": given})[2]["x-request-id"]
        assert (told == given) == kept


def test_a_guard_refuses_and_closes():
    guard = guarded(max_json=10)
    status, body, headers = ask(guard, "POST", "/recommend", body=b"x" * 11)
    assert status == 413 and headers["connection"] == "close"
    status, _, headers = ask(guard, "PUT", "/products/x", {"X-API-Key": "secre"})
    assert status == 401 and headers["connection"] == "close"
    assert ask(guard, "PUT", "/products/x", {"X-API-Key": "secret"})[0] == 200
    assert ask(guard, "GET", "/", host="evil.example")[0] == 400
    large = {"X-API-Key": "secret", "Content-Type": "text/csv"}
    assert ask(guard, "POST", "/products", large, body=b"x" * 500)[0] == 200


def test_errors_of_an_application_are_answered_once():
    async def broken(scope, receive, send):
        raise ValueError("inside")

    async def late(scope, receive, send):
        await send({"type": "http.response.start", "status": 200, "headers": []})
        raise ValueError("inside")

    status, body, _ = ask(guarded(broken), "GET", "/")
    assert status == 500 and b"inside" not in body
    with pytest.raises(ValueError, match="inside"):
        ask(guarded(late), "GET", "/")


def test_each_client_has_its_share_and_health_is_free():
    guard = guarded(rate=1)
    statuses = [ask(guard, "GET", "/")[0] for _ in range(6)]
    assert 429 in statuses and statuses[0] == 200
    status, _, headers = ask(guard, "GET", "/")
    assert status == 429 and int(headers["retry-after"]) >= 1 and "connection" not in headers
    assert {ask(guard, "GET", path)[0] for path in ("/health", "/ready") for _ in range(9)} == {200}


def test_other_traffic_goes_past():
    passed = []

    async def app(scope, receive, send):
        passed.append(scope["type"])

    asyncio.run(guarded(app)({"type": "lifespan"}, None, None))
    assert passed == ["lifespan"]


def test_the_line_of_the_log_names_the_route_alone():
    exchange = Exchange(scope("PUT", "/products/anna"), None, {})
    exchange.scope["route"] = type("Route", (), {"path_format": "/products/{id}"})
    line = json.loads(exchange.line())
    assert line["path"] == "/products/{id}" and "anna" not in exchange.line()
    assert line["method"] == "PUT" and 0 <= line["ms"] < 60_000
    assert line["ms"] <= 1000 * exchange.seconds + 1


# -- connections


class Wire:
    "A transport that remembers what is done to it."

    def __init__(self):
        self.done, self.written = [], b""

    def write(self, data):
        self.written += data

    def is_closing(self):
        return bool(self.done)

    def close(self):
        self.done.append("close")

    def abort(self):
        self.done.append("abort")

    def get_extra_info(self, name):
        return None

    def set_protocol(self, protocol):
        pass

    def pause_reading(self):
        pass

    def resume_reading(self):
        pass


async def connected(app=echo, **times) -> Impatient:
    config = Config(app, http=Impatient, log_level="critical", lifespan="off")
    config.load()
    kind = type("Hasty", (Impatient,), times)
    state = ServerState()
    made = kind(config, state, {})
    made.connection_made(Wire())
    return made


TIMES = {"patience": 0.1, "linger": 0.1, "drain": 0.1}


async def later(connection, seconds: float) -> list[str]:
    await asyncio.sleep(seconds)
    return connection.transport.done


def test_a_head_that_does_not_come_is_not_waited_for():
    async def run():
        connection = await connected(**TIMES)
        assert await later(connection, 0.05) == []
        assert await later(connection, 0.1) == ["close"]
        assert await later(connection, 0.15) == ["close", "abort"]  # it does not go by itself

    asyncio.run(run())


def test_a_question_in_work_is_waited_for():
    async def slow(scope, receive, send):
        await asyncio.sleep(0.4)
        await echo(scope, receive, send)

    async def run():
        connection = await connected(slow, **TIMES)
        connection.data_received(b"GET /x HTTP/1.1\r\nHost: localhost\r\n\r\n")
        await asyncio.sleep(0.02)
        assert connection.in_work and not connection.transport.done
        assert await later(connection, 0.25) == []
        await asyncio.sleep(0.2)
        assert b"/x 0" in connection.transport.written and not connection.in_work

    asyncio.run(run())


def test_a_body_that_goes_on_after_the_answer_is_cut_off():
    async def early(scope, receive, send):
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b""})

    async def run():
        connection = await connected(early, **TIMES | {"patience": 9.0})
        head = b"POST /x HTTP/1.1\r\nHost: localhost\r\nContent-Length: 99\r\n\r\n"
        connection.data_received(head + b"x")
        assert not connection.in_work  # its body is not there yet
        assert await later(connection, 0.06) == []
        connection.data_received(b"x")  # another byte does not help
        assert (await later(connection, 0.12))[-1] == "abort"

    asyncio.run(run())


def test_a_client_that_does_not_read_is_cut_off():
    async def run():
        connection = await connected(**TIMES | {"patience": 9.0})
        connection.pause_writing()
        connection.resume_writing()
        assert await later(connection, 0.15) == []
        connection.pause_writing()
        assert await later(connection, 0.15) == ["abort"]
        connection.connection_lost(None)
        assert not connection._timers

    asyncio.run(run())


def test_the_oldest_idle_connection_makes_room():
    async def run():
        first = await connected(most=2, patience=9.0)
        state = {"config": first.config, "connections": first.connections}
        others = []
        for _ in range(3):
            made = type(first)(first.config, ServerState(), {})
            made.connections = state["connections"]
            made.connection_made(Wire())
            others.append(made)
            await asyncio.sleep(0.01)
        assert first.transport.done and not others[-1].transport.done
        assert len([c for c in (first, *others) if not c.transport.done]) >= 2

    asyncio.run(run())


def test_every_status_has_its_code():
    known = {400: "bad_request", 401: "unauthorised", 403: "forbidden", 404: "not_found"}
    known |= {405: "method_not_allowed", 408: "timeout", 409: "conflict", 413: "too_large"}
    known |= {415: "unsupported", 422: "invalid", 429: "too_many", 500: "internal"}
    assert CODES == known | {503: "unavailable"}


def test_a_field_of_the_wrong_type_is_named():
    class Body(pydantic.BaseModel):
        k: int

    status, told, _ = refusal(raised(Body.model_validate, {"k": "many"}))
    assert status == 422 and told.startswith("k: ") and "many" not in told


def test_a_refused_body_silences_the_application_until_something_was_said():
    async def told(refused, status):
        sent = []

        async def keep(message):
            sent.append(message["type"])

        answer = Exchange(scope(), keep, {})
        answer.body = SimpleNamespace(refused=refused)
        answer.status = status
        await answer.send({"type": "http.response.body", "body": b"x"})
        return len(sent)

    for refused, status, n in ((None, 0, 1), ("too large", 200, 1), ("too large", 0, 0)):
        assert asyncio.run(told(refused, status)) == n


def test_a_body_whose_message_says_no_more_is_whole():
    async def read(message):
        async def receive():
            return message

        body = Body(receive, 10, 1.0)
        await body.receive()
        return body

    body = asyncio.run(read({"type": "http.request", "body": b"x"}))
    assert body._whole and body.each is False
    assert not asyncio.run(read({"type": "http.request", "body": b"x", "more_body": True}))._whole


def test_as_many_connections_as_are_allowed_may_stay():
    async def run():
        first = await connected(most=2, patience=9.0)
        second = type(first)(first.config, ServerState(), {})
        second.connections = first.connections
        second.connection_made(Wire())
        assert len(first.connections) == 2
        assert not first.transport.done and not second.transport.done

    asyncio.run(run())
    assert (Impatient.patience, Impatient.linger, Impatient.drain) == (10, 2, 10)
    assert Impatient.most == 2_000


def test_an_application_that_has_not_started_answers_only_for_its_health():
    guard = Guard(echo, Limits(), "secret", started=lambda: False)
    status, body, headers = ask(guard, "GET", "/filters")
    assert status == 503 and b"has not started" in body and headers["connection"] == "close"
    assert ask(guard, "GET", "/health")[0] == 200
    assert ask(guard, "GET", "/", host="evil.example")[0] == 400  # its own reason comes first


def test_the_line_of_the_log_tells_milliseconds(monkeypatch):
    for seconds, told in ((2.0, 2000), (0.0012345, 1.2)):
        monkeypatch.setattr(Exchange, "seconds", seconds)
        assert json.loads(Exchange(scope(), None, {}).line())["ms"] == told


def test_a_guard_adds_nothing_to_an_answer_that_came_or_never_comes():
    async def answers(app, body=b"x" * 20):
        sent = []

        async def send(message):
            sent.append(message.get("status", message["type"]))

        async def receive():
            return {"type": "http.request", "body": body, "more_body": False}

        asked = scope("POST", "/recommend") | {"type": "http"}
        await guarded(app, max_json=10)(asked, receive, send)
        return sent

    async def silent(scope, receive, send):
        pass

    async def hasty(scope, receive, send):
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await receive()

    assert asyncio.run(answers(silent)) == []
    assert asyncio.run(answers(hasty)) == [200]  # the body was too large, after the answer
