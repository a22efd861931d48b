#!/usr/bin/env python3
"""Fills a directory with the tree that the end-to-end tests send.

usage: make_tree.py DIRECTORY
"""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "e2e"))

import trees_arrive_in_every_role  # noqa: E402

trees_arrive_in_every_role.make_tree(Path(sys.argv[1]))
