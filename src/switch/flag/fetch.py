# As fetch.pl, for a router that has Python and no Perl.
import signal, socket, sys

seconds, host, port, path, name = sys.argv[1:]


def late(*_):
    raise OSError("no answer in time")


signal.signal(signal.SIGALRM, late)
signal.alarm(int(seconds))
try:
    try:
        to = socket.create_connection((host, int(port)))
    except OSError as error:
        raise OSError(f"cannot connect: {error.strerror}" if error.strerror else str(error)) from None
    to.sendall(f"GET {path} HTTP/1.0\r\nHost: {name}\r\nConnection: close\r\n\r\n".encode())
    text = b""
    while len(text) < 1048576 and (part := to.recv(65536)):
        text += part
    signal.alarm(0)
    head, _, body = text.partition(b"\r\n\r\n")
    words = head.split(None, 2)
    if len(words) < 2 or not head.startswith(b"HTTP/"):
        raise OSError("no HTTP answer")
    sys.stdout.buffer.write(words[1] + b"\n" + body)
except OSError as error:
    sys.exit(str(error.strerror or error))
