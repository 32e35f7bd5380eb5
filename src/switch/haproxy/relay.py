# As relay.pl, for a router that has Python and no Perl.
import fcntl, os, signal, socket, sys

opened = {}
held = None
sent = False


def late(*_):
    raise OSError("no answer in time")


def connection(path):
    to = socket.socket(socket.AF_UNIX)
    to.connect(path)
    return to


def content(path):
    with open(path, "rb") as file:
        return file.read()


def do_open(path):
    opened[path] = connection(path)
    return b""


def do_ask(path, commands):
    global sent
    to = opened.pop(path, None) or connection(path)
    to.sendall(commands.encode() + b"\n")
    sent = True
    try:
        to.shutdown(socket.SHUT_WR)
    except OSError:
        pass  # HAProxy answered and closed already: the answer is still there to be read.
    text = b""
    while part := to.recv(65536):
        text += part
    if not text:
        raise OSError("closed without an answer")
    return text if text.endswith(b"\n") else text + b"\n"


def do_hold(folder):
    global held
    held = os.open(folder, os.O_RDONLY)
    fcntl.flock(held, fcntl.LOCK_EX)
    return b""


def do_replace(new, path, old):
    global sent
    if content(path) != content(old):
        raise OSError("changed")
    # Before: a time-out that comes while it is done is told after it.
    sent = True
    os.rename(new, path)
    os.fsync(held)
    return b""


do = {"open": do_open, "ask": do_ask, "hold": do_hold, "replace": do_replace}
signal.signal(signal.SIGALRM, late)
for request in iter(sys.stdin.readline, ""):
    verb, seconds, *rest = request.rstrip("\n").split("\t")
    sent, text, status = False, b"", "ok"
    try:
        signal.alarm(int(seconds))
        text = do[verb](*rest)
    except OSError as error:
        status = ("lost " if sent else "unsent ") + (error.strerror or str(error))
    finally:
        signal.alarm(0)
    sys.stdout.buffer.write(text + b"@@ " + status.encode() + b"\n")
    sys.stdout.buffer.flush()
