"""Trees inside the guests: made there, listed there, compared here. Plain sh, which busybox runs too."""

import itertools

from lib import Failed, check
from runner import REPOSITORY

rooms = itertools.count(1)

# Every block of a large file is at another offset than the same bytes of the block before, so that none can stand in
# for another. /dev/urandom is slow on some kernels of the lab.
LARGE = """
mkdir -p {path} && cd {path} && head -c {block} /dev/urandom >block
for name in {names}; do
    i=0
    while [ $i -lt {blocks} ]; do echo "$name $i"; cat block; i=$((i + 1)); done >$name
done
rm block
"""
# Debian's busybox has no split; its printf needs no process.
MANY = """
set -e
mkdir -p {path} && cd {path}
i=1
while [ $i -le {directories} ]; do
    mkdir $i
    size=$((i * 190 + 7))
    if command -v split >/dev/null; then
        seq $i 9999999 | head -c $((size * {files})) | split -b $size -a 3 - $i/
    else
        n=0
        while [ $n -lt {files} ]; do printf "%0${{size}}d" $((i * 1000 + n)) >$i/$n; n=$((n + 1)); done
    fi
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
# busybox's find has no -printf.
LIST = """
cd {path} || exit
if find . -maxdepth 0 -printf '' 2>/dev/null; then
    find . -type d -printf '%p %m %T@\\n' -o -printf '%p %y %m %s %T@ %l\\n' | sort
else
    find . -type d -print0 | sort -z | xargs -0 stat -c '%N %f %y'
    find . ! -type d -print0 | sort -z | xargs -0 stat -c '%N %f %s %y'
fi
"""
CONTENT = """
cd {path} || exit
find . -type f -print0 | sort -z | xargs -0 -r cat | md5sum
"""
DIGESTS = """
cd {path} || exit
find . -type f -print0 | sort -z | xargs -0 -r md5sum
"""


def good_output(job, script):
    result = job.wait()
    check(result.code == 0, f"{script}\n{result}")
    return result.out


def do(guest, script):
    return good_output(guest.start(script), script)


def new_room(guest):
    """The name of a directory that is not there yet."""
    return f"{guest.data}/room-{next(rooms)}"


def empty(guest):
    """A new directory."""
    path = new_room(guest)
    do(guest, f"mkdir {path}")
    return path


def make_large(guest, mib, path=None, names="large"):
    """Files of about so many MiB each that do not become smaller."""
    path = path or new_room(guest)
    block = min(8, mib)
    do(guest, LARGE.format(path=path, names=names, block=block << 20, blocks=mib // block))
    return path


def make_many(guest, directories, files=1000):
    """So many directories of so many files, the files of each of another size."""
    path = new_room(guest)
    do(guest, MANY.format(path=path, directories=directories, files=files))
    return path


def make_everything(lab, guest):
    """All that a tree can hold: where python3 runs inside, what the end-to-end tests send. It is made once for all
    cases that only read it."""
    path = f"{guest.data}/everything"
    if guest.run(f"test -d {path}").code == 0:
        return path
    if lab.can("programs"):
        do(guest, f"mkdir {path} && HVFERRY_TEST_SCALE=small exec python3 {REPOSITORY}/tests/lab/make_tree.py {path}")
    else:
        do(guest, EVERYTHING.format(path=path))
    return path


def lines_of(guest, script, path):
    return do(guest, script.format(path=path)).splitlines()


def digests(guest, path):
    """A line for each file, with its name; not of what is unfinished."""
    return {line for line in lines_of(guest, DIGESTS, path) if b"/.hvferry." not in line}


def check_same(one, path, other, other_path):
    """Two trees, in one guest or two, do not differ in names, kinds, modes, sizes, targets, times or content."""
    script = LIST + CONTENT
    jobs = one.start(script.format(path=path)), other.start(script.format(path=other_path))
    ours, theirs = (good_output(job, script).splitlines() for job in jobs)
    if ours == theirs:
        return
    differing = set(ours[:-1]) ^ set(theirs[:-1]) or digests(one, path) ^ digests(other, other_path)
    listed = "\n".join(map(repr, sorted(differing)[:20]))
    raise Failed(f"{len(differing)} lines of the listings or the digests differ, as:\n{listed}")
