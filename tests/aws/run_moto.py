"""Runs moto, which stands in for AWS. Argument: port.

Two things in which moto 5.2 is not as AWS are mended:
- It allows a listener 10 tags; AWS allows 50 (elbv2, "Tag restrictions").
- It takes the query of a GET for its body when it checks the signature, and so refuses every GET of Route 53, those of
  AWS's own client too.
Ends when its parent ends, so that a killed test leaves nothing behind.
"""

import inspect
import os
import sys
import textwrap
import threading
import time

from moto.elbv2 import models
from moto.iam.access_control import IAMRequestBase
from moto.server import main

PARENT = os.getppid()


def end_with_parent():
    while os.getppid() == PARENT:
        time.sleep(0.5)
    os._exit(0)


threading.Thread(target=end_with_parent, daemon=True).start()

source = textwrap.dedent(inspect.getsource(models.ELBv2Backend.add_tags))
assert source.count(">= 10") == 1, "moto's limit of tags is not where it was"
scope = {}
exec(source.replace(">= 10", ">= 50"), vars(models), scope)
models.ELBv2Backend.add_tags = scope["add_tags"]

signed = IAMRequestBase._create_aws_request


def signed_without_query(self):
    data = self._data
    if self._method == "GET":
        self._data = b""
    try:
        return signed(self)
    finally:
        self._data = data


IAMRequestBase._create_aws_request = signed_without_query

main(["-H", "127.0.0.1", "-p", sys.argv[1]])
