#!/usr/bin/env python3
"""hvrecv service-guid, as far as it works on every system."""

import lib
from lib import HVRECV, case, check_equal, failed

PAIRS = {
    "0": "00000000-facb-11e6-bd58-64006a7986d3",
    "2761": "00000ac9-facb-11e6-bd58-64006a7986d3",
    "2147483647": "7fffffff-facb-11e6-bd58-64006a7986d3",
}


@case
def ports_become_guids_and_guids_ports(ws):
    for port, guid in PAIRS.items():
        for word, answer in ((port, guid), (guid, port), ("{" + guid.upper() + "}", port)):
            result = ws.run(HVRECV, "service-guid", "of", word)
            check_equal((result.code, result.out.decode().strip(), result.err), (0, answer, ""), f"of {word}")


@case
def what_is_neither_says_so(ws):
    failed(ws.run(HVRECV, "service-guid", "of", "2147483648"), 1, "not a port")
    failed(ws.run(HVRECV, "service-guid", "of", "-1"), 1, "not a GUID")
    failed(ws.run(HVRECV, "service-guid", "of", "e3b0c442-98fc-4c14-9afb-f4c8996fb924"), 4, "stands for no port")
    failed(ws.run(HVRECV, "service-guid", "of"), 1, "one port or one GUID")


@case
def mistakes_are_usage_errors(ws):
    for words, says in (
        ([], "say of, list"),
        (["make"], "say of, list"),
        (["list", "x"], "nothing may follow"),
        (["register", "--port", "1"], "--name is missing"),
        (["register", "--name", "x"], "say which service"),
        (["register", "--port", "1", "--guid", PAIRS["0"], "--name", "x"], "one --port or one --guid"),
        (["register", "--port", "x", "--name", "x"], "not a port"),
        (["register", "--port", "1", "--name", ""], "name is empty"),
        (["register", "--port"], "value is missing"),
        (["unregister", "--port", "1", "--name", "x"], "no meaning"),
        (["unregister", "--colour"], "not known"),
    ):
        failed(ws.run(HVRECV, "service-guid", *words), 1, says)
    check_equal(ws.run(HVRECV, "service-guid", "--help").code, 0, "--help")


@case
def registering_is_for_the_windows_host(ws):
    for words in (["list"], ["register", "--port", "1", "--name", "x"], ["unregister", "--port", "1"]):
        failed(ws.run(HVRECV, "service-guid", *words), 4, "Windows host")


lib.main()
