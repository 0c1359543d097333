"""The embedded server as any client of OpenAI's protocol sees it: over a socket, in its own process."""

import http.client
import json
import os
import re
import socket
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress

import pytest

from bench.engines.embedded import family

SMALL, BIG = family()[0], family()[-1]
COPY = "copy: abc\nAnswer:"


@pytest.fixture(scope="module")
def port():
    server = subprocess.Popen(
        [sys.executable, "-m", "bench.engines.embedded.server", "--models", f"{SMALL.name},{BIG.name}"],
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, "OPENBLAS_NUM_THREADS": "1"},
    )
    try:
        yield int(re.search(r":(\d+)/v1", server.stdout.readline())[1])
    finally:
        server.terminate()
        assert server.wait(10) == 0
        server.stdout.close()


def call(port, path, body=None, method=None):
    """(status, answer as JSON)."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
    raw = body if isinstance(body, bytes) or body is None else json.dumps(body).encode()
    connection.request(method or ("GET" if body is None else "POST"), path, raw)
    reply = connection.getresponse()
    answer = json.loads(reply.read())
    connection.close()
    return reply.status, answer


def events(port, path, body):
    """The events of a stream, as their JSON; the last must be [DONE]."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
    connection.request("POST", path, json.dumps(body | {"stream": True}).encode())
    reply = connection.getresponse()
    assert (reply.status, reply.getheader("content-type")) == (200, "text/event-stream; charset=utf-8")
    lines = [line for line in reply.read().decode().split("\n\n") if line]
    connection.close()
    assert lines[-1] == "data: [DONE]"
    return [json.loads(line.removeprefix("data: ")) for line in lines[:-1]]


def chat(text=COPY, **more):
    asked = [{"role": "system", "content": "be brief"}, {"role": "user", "content": text}]
    return {"model": BIG.name, "messages": asked, "temperature": 0} | more


def completion(text=COPY, **more):
    return {"model": BIG.name, "prompt": text, "temperature": 0} | more


def test_it_says_that_it_is_well_and_what_it_serves(port):
    assert call(port, "/health") == (200, {"status": "ok"})
    status, listed = call(port, "/v1/models")
    assert status == 200
    assert [model["id"] for model in listed["data"]] == [SMALL.name, BIG.name]


def test_chat_answers_the_last_user_message(port):
    messages = [{"role": "user", "content": "1+1="}, {"role": "assistant", "content": "2"}]
    messages.append({"role": "user", "content": [{"type": "text", "text": COPY}]})
    status, answer = call(port, "/v1/chat/completions", chat() | {"messages": messages})
    assert status == 200
    assert answer["object"] == "chat.completion"
    assert answer["choices"][0]["message"] == {"role": "assistant", "content": " abc"}
    assert answer["choices"][0]["finish_reason"] == "stop"
    assert answer["usage"] == {"prompt_tokens": len(COPY) + 1, "completion_tokens": 4, "total_tokens": len(COPY) + 5}
    assert answer["system_fingerprint"] == f"fp_{BIG.sha256[:12]}"


def test_a_chat_stream_has_one_event_per_token_and_exact_usage(port):
    told = events(port, "/v1/chat/completions", chat(stream_options={"include_usage": True}))
    assert told[0]["choices"][0]["delta"] == {"role": "assistant", "content": ""}
    assert [event["choices"][0]["delta"].get("content") for event in told[1:-2]] == [" ", "a", "b", "c"]
    assert told[-2]["choices"][0] == {"index": 0, "delta": {}, "finish_reason": "stop"}
    assert told[-1]["choices"] == []
    assert told[-1]["usage"]["completion_tokens"] == 4
    assert len({event["id"] for event in told}) == 1


def test_a_stream_says_what_the_whole_answer_says(port):
    for path, body in (("/v1/chat/completions", chat()), ("/v1/completions", completion(max_tokens=9))):
        body |= {"logprobs": True, "top_logprobs": 2} if "chat" in path else {"logprobs": 2, "echo": True}
        whole = call(port, path, body)[1]["choices"][0]
        parts = [event["choices"][0] for event in events(port, path, body)]
        if "chat" in path:
            assert "".join(p["delta"].get("content", "") for p in parts) == whole["message"]["content"]
            content = [entry for p in parts if p.get("logprobs") for entry in p["logprobs"]["content"]]
            assert content == whole["logprobs"]["content"]
        else:
            assert "".join(p["text"] for p in parts) == whole["text"]
            for key, value in whole["logprobs"].items():
                assert [x for p in parts if p["logprobs"] for x in p["logprobs"][key]] == value


def test_the_length_limit_ends_an_answer_with_length(port):
    for body in (chat(max_tokens=2), chat(max_completion_tokens=2), chat(max_tokens=9, max_completion_tokens=2)):
        choice = call(port, "/v1/chat/completions", body)[1]["choices"][0]
        assert (choice["message"]["content"], choice["finish_reason"]) == (" a", "length")


def test_a_stop_text_is_cut_off_and_never_shown_not_even_its_beginning(port):
    choice = call(port, "/v1/completions", completion(stop=["bc"]))[1]["choices"][0]
    assert (choice["text"], choice["finish_reason"]) == (" a", "stop")
    texts = [event["choices"][0]["text"] for event in events(port, "/v1/completions", completion(stop=["bc"]))]
    assert texts == [" ", "a", ""]
    held = [event["choices"][0]["text"] for event in events(port, "/v1/completions", completion(stop="bx"))]
    assert held == [" ", "a", "bc", ""]


def test_ignoring_the_end_fills_the_limit(port):
    answer = call(port, "/v1/completions", completion(max_tokens=50, ignore_eos=True))[1]
    assert answer["usage"]["completion_tokens"] == len(answer["choices"][0]["text"]) == 50
    assert answer["choices"][0]["finish_reason"] == "length"


def test_echo_scores_the_prompt_without_generating(port):
    answer = call(port, "/v1/completions", completion(COPY + " abc", echo=True, logprobs=1, max_tokens=0))[1]
    logprobs = answer["choices"][0]["logprobs"]
    assert answer["choices"][0]["text"] == "".join(logprobs["tokens"]) == COPY + " abc"
    assert logprobs["text_offset"] == list(range(len(COPY) + 4))
    assert answer["usage"]["completion_tokens"] == 0
    free = call(port, "/v1/completions", completion(logprobs=1))[1]["choices"][0]["logprobs"]
    assert logprobs["token_logprobs"][-4:] == pytest.approx(free["token_logprobs"], abs=1e-4)


def test_a_seed_repeats_a_warm_answer_and_another_changes_it(port):
    warm = {"temperature": 2, "max_tokens": 40, "ignore_eos": True}
    texts = [
        call(port, "/v1/completions", completion(**warm, seed=seed))[1]["choices"][0]["text"] for seed in (1, 1, 2)
    ]
    assert texts[0] == texts[1] != texts[2]


def test_tokens_from_tokenize_are_a_prompt_too(port):
    counted = call(port, "/tokenize", {"model": BIG.name, "prompt": COPY})[1]
    assert counted["count"] == len(COPY) + 1
    by_tokens = call(port, "/v1/completions", completion() | {"prompt": counted["tokens"]})[1]
    assert by_tokens["choices"] == call(port, "/v1/completions", completion())[1]["choices"]
    assert by_tokens["usage"]["prompt_tokens"] == counted["count"]


def test_forty_at_once_get_what_each_would_get_alone(port):
    texts = [f"copy: {chr(97 + k % 26) * (1 + k % 9)}\nAnswer:" for k in range(40)]
    with ThreadPoolExecutor(40) as pool:
        together = list(pool.map(lambda text: call(port, "/v1/completions", completion(text, logprobs=0)), texts))
    alone = [call(port, "/v1/completions", completion(text, logprobs=0)) for text in texts]
    assert [answer["choices"] for _, answer in together] == [answer["choices"] for _, answer in alone]


def test_a_client_that_hangs_up_frees_its_place(port):
    with socket.create_connection(("127.0.0.1", port)) as gone:
        raw = json.dumps(completion(max_tokens=900, ignore_eos=True, stream=True)).encode()
        gone.sendall(b"POST /v1/completions HTTP/1.1\r\nhost: x\r\ncontent-length: %d\r\n\r\n%s" % (len(raw), raw))
        assert gone.recv(100)
    assert call(port, "/v1/completions", completion())[0] == 200


def test_requests_on_one_connection_are_answered_in_order(port):
    asked = b""
    for text in ("copy: ab", "copy: cd"):
        raw = json.dumps(completion(text, echo=True)).encode()
        asked += b"POST /v1/completions HTTP/1.1\r\nhost: x\r\ncontent-length: %d\r\n\r\n%s" % (len(raw), raw)
    with socket.create_connection(("127.0.0.1", port), timeout=30) as line:
        line.sendall(asked + b"GET /health HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n")
        got = b"".join(iter(lambda: line.recv(65536), b""))
    assert [part[:3] for part in got.split(b"HTTP/1.1 ")[1:]] == [b"200"] * 3
    assert got.index(b'"text":"copy: ab') < got.index(b'"text":"copy: cd') < got.index(b'"status"')


@pytest.mark.parametrize(
    ("body", "status", "param", "code"),
    [
        (b"{not json", 400, None, "invalid_json"),
        (b"[1]", 400, None, "invalid_json"),
        (b"\xff", 400, None, "invalid_json"),
        (b"[" * 100_000, 400, None, "invalid_json"),
        (chat(model="nope"), 404, "model", "model_not_found"),
        ({"messages": []}, 404, "model", "model_not_found"),
        (chat(messages=[]), 400, "messages", None),
        (chat(messages=[{"role": "system", "content": "x"}]), 400, "messages", None),
        (chat(messages=[{"role": "wizard", "content": "x"}]), 400, "messages[0].role", None),
        (chat(messages=[{"role": "user", "content": 3}]), 400, "messages[0].content", None),
        (chat(messages=[{"role": "user", "content": [{"type": "image_url"}]}]), 400, "messages[0].content", None),
        (chat(max_tokens=5000), 400, "max_tokens", "context_length_exceeded"),
        (chat("a" * 2000), 400, "messages", "context_length_exceeded"),
        (chat(max_tokens=0), 400, "max_tokens", None),
        (chat(max_tokens="9"), 400, "max_tokens", None),
        (chat(temperature=3), 400, "temperature", None),
        (chat(temperature=True), 400, "temperature", None),
        (chat(n=2), 400, "n", None),
        (chat(stream="yes"), 400, "stream", None),
        (chat(stop=[""]), 400, "stop", None),
        (chat(seed="x"), 400, "seed", None),
        (chat(top_logprobs=2), 400, "top_logprobs", None),
        (chat(logprobs=True, top_logprobs=99), 400, "top_logprobs", None),
    ],
)
def test_what_is_wrong_with_a_request_is_said_in_openais_words(port, body, status, param, code):
    got, answer = call(port, "/v1/chat/completions", body)
    assert (got, answer["error"]["param"], answer["error"]["code"]) == (status, param, code)
    assert answer["error"]["type"] == "invalid_request_error"
    assert "\n" not in answer["error"]["message"]


@pytest.mark.parametrize("prompt", [None, 3, ["a", "b"], [5000], []])
def test_a_completion_needs_one_prompt(port, prompt):
    assert call(port, "/v1/completions", completion() | {"prompt": prompt})[1]["error"]["param"] == "prompt"


def test_unknown_paths_and_methods_are_told_apart(port):
    assert call(port, "/v1/embeddings", {})[0] == 404
    assert call(port, "/v1/models", {})[0] == 405


def test_bytes_that_are_not_http_are_refused_and_hurt_nobody(port):
    with socket.create_connection(("127.0.0.1", port), timeout=10) as line:
        line.sendall(b"\x16\x03\x01 hello\r\n\r\n")
        assert b" 400 " in line.recv(4096)
    assert call(port, "/health")[0] == 200


def test_rubbish_after_a_request_cuts_the_answer_and_never_garbles_it(port):
    raw = json.dumps(completion(max_tokens=900, ignore_eos=True, stream=True)).encode()
    with socket.create_connection(("127.0.0.1", port), timeout=10) as line:
        line.sendall(b"POST /v1/completions HTTP/1.1\r\nhost: x\r\ncontent-length: %d\r\n\r\n%s" % (len(raw), raw))
        got = line.recv(100)
        line.sendall(b"\x00\x01\x02\r\n\r\n")
        with suppress(ConnectionResetError):
            got += b"".join(iter(lambda: line.recv(65536), b""))
    assert got.count(b"HTTP/1.1") == 1
    assert b"[DONE]" not in got


def test_an_unknown_model_and_a_port_in_use_are_one_line_each(port):
    def start(*arguments):
        command = [sys.executable, "-m", "bench.engines.embedded.server", *arguments]
        return subprocess.run(command, capture_output=True, text=True, timeout=30, check=False)

    unknown = start("--models", SMALL.name + "x")
    assert unknown.returncode == 2
    assert unknown.stderr.strip().endswith(f"did you mean {SMALL.name!r}?")
    taken = start("--models", SMALL.name, "--port", str(port))
    assert taken.returncode == 2
    assert "address already in use" in taken.stderr
    assert taken.stderr.count("\n") == 1
