"""A chat-completions server on loopback that does what a test tells it to, and counts what it is asked."""

import json
import threading
import time
from collections import Counter
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

GOOD = '{"clarity": 5, "specificity": 4}'


def completion(content, finish="stop"):
    return json.dumps({"choices": [{"index": 0, "message": {"role": "assistant", "content": content}, "finish_reason": finish}]})


class Server:
    """``act(prompt, times asked)`` returns (status, text), or (status, text, headers), or writes itself and returns None."""

    def __init__(self, act):
        self.act, self.asked, self.bodies, self.headers = act, Counter(), [], []
        self.now = self.most = 0
        self.lock = threading.Lock()


@contextmanager
def serving(act):
    """Yield (address, server)."""
    state = Server(act)

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self):
            body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            prompt = body["messages"][-1]["content"]
            with state.lock:
                state.asked[prompt] += 1
                times = state.asked[prompt]
                state.bodies.append(body)
                state.headers.append(dict(self.headers))
                state.now += 1
                state.most = max(state.most, state.now)
            try:
                said = state.act(prompt, times)
                if said == "drip":
                    self.send_response(200)
                    self.send_header("Content-Length", "100000")
                    self.end_headers()
                    for _ in range(100):
                        self.wfile.write(b" ")
                        self.wfile.flush()
                        time.sleep(0.05)
                    return
                if said == "hang up":
                    self.close_connection = True
                    return
                status, text, *more = said
                self.send_response(status)
                for name, value in (more[0] if more else {}).items():
                    self.send_header(name, value)
                data = text.encode()
                self.send_header("Content-Length", str(len(data)))
                self.end_headers()
                self.wfile.write(data)
            except (BrokenPipeError, ConnectionResetError):
                pass
            finally:
                with state.lock:
                    state.now -= 1

        def log_message(self, *_):
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_port}/v1", state
    finally:
        server.shutdown()
        server.server_close()
