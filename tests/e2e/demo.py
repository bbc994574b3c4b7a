"""The demo as a process of its own, and a cable to it that can be pulled."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import threading
from contextlib import suppress
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
DEMO = ROOT / "examples/web_chat/roomkit.toml"


def free_port() -> int:
    """A port that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


class Demo:
    """``make demo`` without make, on a free port.

    Args:
        store: The file in which it keeps everything; None for a store in memory.
        environment: What configures it otherwise.
    """

    def __init__(self, store: Path | None, **environment: str) -> None:
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}/"
        kept = {"USE": "memory"} if store is None else {"USE": "sqlite", "PATH": str(store)}
        self._environment = {f"ROOMKIT_STORES__MAIN__{key}": value for key, value in kept.items()} | environment
        self._process: subprocess.Popen[str] | None = None

    def start(self) -> None:
        """Start it, and return when it listens."""
        command = [sys.executable, "-m", "roomkit_core.cli", "serve", "--config", str(DEMO), "--port", str(self.port)]
        environment = {**os.environ, **self._environment}
        self._process = subprocess.Popen(command, cwd=ROOT, env=environment, stdout=subprocess.PIPE, text=True)
        assert self._process.stdout is not None
        assert self.url in self._process.stdout.readline()

    def kill(self) -> None:
        """End it without a word, as a crash does."""
        if self._process is None:
            return
        process, self._process = self._process, None
        process.kill()
        process.communicate(timeout=10)


class Cable:
    """Carries TCP connections to a port, until it is cut; then they break, and no new one gets through."""

    def __init__(self, port: int) -> None:
        self._target = port
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self._listener.getsockname()[1]}/"
        self._plugged = True
        self._ends: set[socket.socket] = set()
        self._lock = threading.Lock()
        self._threads = [threading.Thread(target=self._accept)]
        self._threads[0].start()

    def cut(self) -> None:
        """Pull it out."""
        with self._lock:
            self._plugged = False
            for end in self._ends:
                _shut(end)

    def plug(self) -> None:
        """Put it back in."""
        with self._lock:
            self._plugged = True

    def close(self) -> None:
        """Throw it away."""
        self.cut()
        _shut(self._listener)
        for thread in self._threads:
            thread.join(10)
        self._listener.close()

    def _accept(self) -> None:
        while True:
            try:
                near, _ = self._listener.accept()
            except OSError:
                return
            with self._lock:
                if not self._plugged:
                    near.close()
                    continue
                try:
                    far = socket.create_connection(("127.0.0.1", self._target))
                except OSError:
                    near.close()
                    continue
                self._ends |= {near, far}
                open_ends = [2]
                for source, sink in ((near, far), (far, near)):
                    thread = threading.Thread(target=self._carry, args=(source, sink, open_ends))
                    thread.start()
                    self._threads.append(thread)

    def _carry(self, source: socket.socket, sink: socket.socket, open_ends: list[int]) -> None:
        with suppress(OSError):
            while data := source.recv(65536):
                sink.sendall(data)
        _shut(source)
        _shut(sink)
        with self._lock:
            open_ends[0] -= 1
            if not open_ends[0]:
                for end in (source, sink):
                    self._ends.discard(end)
                    end.close()


def _shut(end: socket.socket) -> None:
    with suppress(OSError):
        end.shutdown(socket.SHUT_RDWR)
