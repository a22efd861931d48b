"""Trees inside the guests: made there, listed there, compared here. Plain sh, which busybox runs too."""

import itertools

from lib import Failed, check
from runner import REPOSITORY

rooms = itertools.count(1)

# Every block of a large file is at another offset than the same bytes of the block before, so that none can stand in
# for another. /dev/urandom is slow on some kernels of the lab.
LARGE = """
mkdir -p {path} && cd {path} && head -c {block} /dev/urandom >block
i=0
while [ $i -lt {blocks} ]; do echo $i; cat block; i=$((i + 1)); done >large
rm block
"""
MANY = """
mkdir -p {path} && cd {path}
i=0
while [ $i -lt {count} ]; do
    [ $((i % 250)) -ne 0 ] || mkdir $((i / 250))
    printf "%0$((i % 4001 + 1))d" $i >$((i / 250))/$i
    i=$((i + 1))
done
"""
EVERYTHING = """
mkdir -p {path} && cd {path} && mkdir -p a/b/c/d empty modes
echo text >text && : >nothing && head -c 300000 /dev/urandom >a/noise && head -c 3000000 /dev/zero >a/b/zeros
echo x >' a name of (words) & "signs"' && ln -s text link && ln -s nowhere a/dangling
for mode in 600 640 755 444; do echo $mode >modes/$mode; chmod $mode modes/$mode; done
touch -d '2001-02-03 04:05:06' text a/b && chmod 700 a/b/c
"""
LIST = """
cd {path} || exit
find . -type d -print0 | sort -z | xargs -0 stat -c '%N %f %y'
find . ! -type d -print0 | sort -z | xargs -0 stat -c '%N %f %s %y'
"""
DIGESTS = """
cd {path} || exit
sum=$(command -v xxh128sum || command -v md5sum)
find . -type f -print0 | sort -z | xargs -0 -r $sum
"""


def do(guest, script):
    result = guest.run(script)
    check(result.code == 0, f"{guest.name}: {script}\n{result}")
    return result.out


def new_room(guest):
    """The name of a directory that is not there yet."""
    return f"{guest.data}/room-{next(rooms)}"


def empty(guest):
    """A new directory."""
    path = new_room(guest)
    do(guest, f"mkdir {path}")
    return path


def make_large(guest, mib, path=None):
    """One file of about so many MiB that does not become smaller."""
    path = path or new_room(guest)
    block = min(16, mib)
    do(guest, LARGE.format(path=path, block=block << 20, blocks=mib // block))
    return path


def make_many(guest, count):
    path = new_room(guest)
    do(guest, MANY.format(path=path, count=count))
    return path


def make_everything(lab, guest):
    """All that a tree can hold: where python3 runs inside, what the end-to-end tests send."""
    path = new_room(guest)
    if lab.can("programs"):
        do(guest, f"mkdir {path} && exec python3 {REPOSITORY}/tests/lab/make_tree.py {path}")
    else:
        do(guest, EVERYTHING.format(path=path))
    return path


def listing(guest, path):
    """Names, kinds, modes, sizes, targets and times of everything below, and digests of the files."""
    return do(guest, LIST.format(path=path)) + do(guest, DIGESTS.format(path=path))


def digests(guest, path):
    """A line for each file, with its name; not of what is unfinished."""
    lines = do(guest, DIGESTS.format(path=path)).splitlines()
    return {line for line in lines if b"/.hvferry." not in line}


def check_same(one, path, other, other_path):
    """Two trees, in one guest or two, differ in nothing that is listed."""
    ours, theirs = listing(one, path).splitlines(), listing(other, other_path).splitlines()
    if ours != theirs:
        differing = sorted(set(ours) ^ set(theirs))[:20]
        raise Failed(f"the trees differ in {len(differing)} lines or more:\n" + "\n".join(map(repr, differing)))


