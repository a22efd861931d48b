#!/usr/bin/env python3
"""Very many files, all in one directory or spread over many, arrive; and a second run sends none of them."""

import json
import os

import lib
from lib import SMALL, case, check_equal, good, same_tree

COUNT = 5_000 if SMALL else 100_000  # of each kind


def summary_of(result):
    return json.loads(result.out.splitlines()[-1])


def put_fast(path, data, mtime_ns=None):
    fd = os.open(path, os.O_CREAT | os.O_WRONLY, 0o644)
    os.write(fd, data)
    if mtime_ns is not None:
        os.utime(fd, ns=(0, mtime_ns))
    os.close(fd)


def there_and_again(ws, source):
    dest = ws.dir("dest")
    good(ws.push(["-a", f"{source}/"], dest))
    same_tree(source, dest)
    pair = ws.push(["-a", "--json", f"{source}/"], dest)
    summary = summary_of(pair.sender)
    check_equal((pair.sender.code, summary["files"], summary["skipped"]), (0, 0, COUNT), "files sent and skipped again")


@case
def all_in_one_directory(ws):
    source = ws.dir("source")
    for i in range(COUNT):
        put_fast(f"{source}/file-{i}", b"%d" % i * (i % 30), mtime_ns=i * 1_000_000_007)
    there_and_again(ws, source)


@case
def spread_over_many_directories(ws):
    source = ws.dir("source")
    per_directory = 20
    for i in range(COUNT // per_directory):
        directory = source / f"{i % 50}" / f"{i}"
        directory.mkdir(parents=True)
        for k in range(per_directory):
            put_fast(f"{directory}/{k}", b"%d" % k)
    there_and_again(ws, source)


@case
def spread_over_deep_chains(ws):
    """60 levels each, more directories than files: every one gets its mode and times at the end."""
    source, dest = ws.dir("source"), ws.dir("dest")
    for i in range(5 if SMALL else 60):
        at = source / f"{i}"
        at.mkdir()
        for k in range(60):
            at = at / f"{k}"
            at.mkdir(mode=0o700 + k)
        put_fast(f"{at}/bottom", b"%d" % i)
    for i, (directory, _, _) in enumerate(os.walk(source, topdown=False)):
        os.utime(directory, ns=(i, i * 1_000_000_007))
    good(ws.push(["-a", f"{source}/"], dest))
    same_tree(source, dest)


@case
def a_tree_of_directories_alone(ws):
    source, dest = ws.dir("source"), ws.dir("dest")
    for i in range(500 if SMALL else 20_000):
        (source / f"{i % 100}" / f"{i}").mkdir(parents=True)
    good(ws.push(["-a", f"{source}/"], dest))
    same_tree(source, dest)


@case
def one_thread_sends_and_receives_them_too(ws):
    source, dest = ws.dir("source"), ws.dir("dest")
    for i in range(COUNT // 5):
        put_fast(f"{source}/{i}", b"%d" % i)
    good(ws.push(["-a", "--serial", f"{source}/"], dest, ["--serial"]))
    same_tree(source, dest)


lib.main()
