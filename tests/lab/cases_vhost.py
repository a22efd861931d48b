"""Cases of a host whose vsock is the kernel's vhost_vsock: what it answers while a guest is not there."""

import ends
import trees
from guest import PATIENCE
from lib import check, failed, wait_until
from runner import case

BOOT = ["--retry", "forever", "--timeout", "600"]  # seconds; longer than any boot


@case("vhost")
def a_cid_that_no_guest_has_is_told_after_as_many_tries_as_were_asked_for(lab, host, guest):
    source = trees.empty(host)
    result = host.run(["hvsend", "-a", "--retry", "2", "--retry-delay", "0.1", f"{source}/", "vsock://4077:5"])
    failed(result, 10, r"vsock://4077:5: there is no such CID, .*modprobe vhost_vsock.*\(tried 3 times in ")


@case("vhost")
def a_sender_that_waits_while_the_guest_boots_is_served(lab, host, guest):
    guest.kill()
    source, port = trees.make_large(host, 1), next(ends.ports)
    sender = host.start(["hvsend", "-av", *BOOT, f"{source}/", guest.address(port)])
    wait_until(lambda: sender.ended() or "try 2: " in sender.err(), "it tries again", PATIENCE)
    lab.restart_guest()
    check(not sender.ended(), f"it did not wait: {sender.err()}")
    dest = trees.empty(lab.guest)
    receiver = lab.guest.start(["hvrecv", "--once", "--listen", f"vsock://:{port}", dest])
    result = sender.wait()
    check(result.code == 0 and receiver.wait().code == 0, f"it failed: {result}")
    trees.check_same(host, source, lab.guest, dest)
