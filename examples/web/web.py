"""Answers every request with its version: a service that stays up."""

import http.server
import os
import signal
import threading

VERSION = os.environ.get("VERSION", "unknown")


class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        body = f"{VERSION}\n".encode()
        self.send_response(200 if self.path in ("/", "/healthz") else 404)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


def main() -> None:
    server = http.server.ThreadingHTTPServer(("", 8080), Handler)
    # docker stop sends SIGTERM: finish the open requests, then exit. shutdown blocks until
    # serve_forever returns, so it has to run in another thread.
    signal.signal(signal.SIGTERM, lambda *_: threading.Thread(target=server.shutdown).start())
    server.serve_forever()


if __name__ == "__main__":
    main()
