"""A program that imports PyTorch spends a second on that before it looks at a prompt of a millisecond.  This keeps one
interpreter warm: the first run leaves a server behind, later runs of the same program hand it their command line, and the
server answers each in a forked child that has everything imported.  One process a case, as before; a twentieth of the time.

    import smoeref_warm
    smoeref_warm.client(__file__)      # before the slow imports; returns at once unless SMOEREF_WARM=1
    import torch
    ...
    smoeref_warm.run(main)             # instead of sys.exit(main())

The server ends by itself after ten seconds without a run, and at once when the program or a file beside it has changed
(its socket is named after their times).  Only the same user can reach it.  Linux and macOS; Python 3.9 or later.
"""
import fcntl
import hashlib
import json
import os
import pathlib
import socket
import sys
import tempfile
import time

IDLE = 10.0     # seconds without a run after which the server ends
START = 120.0   # seconds that the imports may take

_listener = None


def _folder():
    path = os.path.join(tempfile.gettempdir(), f"smoeref-warm-{os.getuid()}")
    os.makedirs(path, mode=0o700, exist_ok=True)
    status = os.lstat(path)
    if status.st_uid != os.getuid() or status.st_mode & 0o077 or not os.path.isdir(path) or os.path.islink(path):
        raise OSError(f"{path} is not a private folder of this user")
    return path


def _name(program):
    """One socket for each program, interpreter and state of the sources."""
    here = pathlib.Path(program).resolve()
    state = [sys.executable, str(here)]
    for source in sorted({*here.parent.glob("*.py"), *pathlib.Path(__file__).resolve().parent.glob("*.py")}):
        state += [str(source), str(source.stat().st_mtime_ns)]
    return hashlib.sha256("\n".join(state).encode()).hexdigest()[:24]


def _connect(path):
    link = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        link.connect(path)
    except OSError:
        link.close()
        return None
    return link


def _become_server(path):
    """In a child without a terminal: binds the socket, and returns so that the program goes on to import and run()."""
    global _listener
    os.setsid()
    null = os.open(os.devnull, os.O_RDWR)
    for stream in (0, 1, 2):
        os.dup2(null, stream)
    _listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    if os.path.exists(path):
        os.unlink(path)
    _listener.bind(path)
    _listener.listen(64)


def client(program):
    """With SMOEREF_WARM=1: runs this command line in the warm server and exits with its status.  Else returns."""
    if os.environ.get("SMOEREF_WARM") != "1":
        return
    path = os.path.join(_folder(), _name(program) + ".sock")
    with open(path + ".lock", "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)                 # of several first runs one starts the server
        link = _connect(path)
        if link is None:
            if os.fork() == 0:
                lock.close()
                _become_server(path)
                return
            deadline = time.monotonic() + START
            while link is None and time.monotonic() < deadline:
                time.sleep(0.01)
                link = _connect(path)
    if link is None:
        raise SystemExit(f"{program}: the warm server did not start in {START:.0f} s")
    link.sendall(b"?")                                   # a byte to carry the open files with
    socket.send_fds(link, [b"!"], [0, 1, 2])
    with link.makefile("rwb") as stream:
        stream.write(json.dumps([sys.argv, os.getcwd(), dict(os.environ)]).encode() + b"\n")
        stream.flush()
        status = stream.readline()
    if not status:
        raise SystemExit(f"{program}: the warm run was killed")
    sys.stdout.flush()
    os._exit(int(status))


def _one(main, link):
    """In a child of the server: takes over the caller's files, folder and environment, and runs."""
    link.recv(1)
    _, files, _, _ = socket.recv_fds(link, 1, 3)
    for stream, file in enumerate(files):
        os.dup2(file, stream)
    with link.makefile("rwb") as stream:
        sys.argv, folder, environment = json.loads(stream.readline())
        os.chdir(folder)
        os.environ.clear()
        os.environ.update(environment)
        try:
            status = main() or 0
        except SystemExit as stop:
            if isinstance(stop.code, str):
                print(stop.code, file=sys.stderr)
            status = stop.code if isinstance(stop.code, int) else 0 if stop.code is None else 1
        except BaseException:                            # what an interpreter does with it: a traceback, status 1
            sys.excepthook(*sys.exc_info())
            status = 1
        sys.stdout.flush()
        sys.stderr.flush()
        stream.write(f"{status}\n".encode())
        stream.flush()


def run(main):
    """sys.exit(main()), or in the server: a child for each run that comes in."""
    if _listener is None:
        sys.exit(main())
    _listener.settimeout(IDLE)
    while True:
        try:
            link, _ = _listener.accept()
        except socket.timeout:
            os._exit(0)                                  # the socket stays; the next first run replaces it
        if os.fork() == 0:                               # the run is a grandchild, so that the server has none to wait for
            if os.fork() == 0:
                try:
                    link.settimeout(None)
                    _one(main, link)
                finally:
                    os._exit(0)
            os._exit(0)
        link.close()
        os.wait()
