#!/usr/bin/env python3
"""The parts of scripts/bench that can be wrong without any speed: data, comparing, bars, reports, the relay, spent,
bare. Nothing here looks at a time but to see that there is one.

usage: test_bench.py BUILD-DIRECTORY-OF-TESTS/BENCH
"""

import json
import os
import socket
import subprocess
import sys
import tempfile
import unittest
from pathlib import Path

TOP = Path(__file__).parents[2]
sys.path.insert(0, str(TOP / "scripts"))

from bench import bars, base, bench, data, docs, processes, relay, report  # noqa: E402
from bench.growth import Lines  # noqa: E402

PROGRAMS = Path()


class Scratch(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory(prefix="hvferry-test.")
        self.addCleanup(folder.cleanup)
        self.top = Path(folder.name)

    def tree(self, name, **files):
        (self.top / name).mkdir()
        for file, content in files.items():
            (self.top / name / file).write_bytes(content)
            os.utime(self.top / name / file, ns=(0, 1_500_000_000))
        return self.top / name


class Data(Scratch):
    def test_sizes_add_up_to_the_total(self):
        sizes = data.many_sizes(500, 1_000_000, 7)
        self.assertEqual((len(sizes), sum(sizes)), (500, 1_000_000))
        self.assertGreaterEqual(min(sizes), 0)

    def test_the_usual_seed_has_the_named_size_and_another_one_a_size_near_it(self):
        self.assertEqual(data.varied(base.GIB, 5, 5), base.GIB)
        self.assertNotEqual(data.varied(base.GIB, 6, 5), base.GIB)
        self.assertLess(abs(data.varied(base.GIB, 6, 5) / base.GIB - 1), 0.21)

    def test_the_same_seed_makes_the_same_files(self):
        for name in ("a", "b"):
            data.write_files(self.tree(name), [1, 0, 5000], 2, 3)
        data.Comparison(times=None).check(self.top / "a", self.top / "b")
        self.assertEqual(sorted(os.listdir(self.top / "a")), ["dir0000", "dir0001"])

    def test_a_sparse_file_has_its_data_and_holes(self):
        data.write_sparse(self.top / "s", 64 * base.MIB, 2 * base.MIB, 1)
        self.assertEqual((self.top / "s").stat().st_size, 64 * base.MIB)
        with open(self.top / "s", "rb", buffering=0) as file:
            self.assertEqual(sum(end - start for start, end in data.data_runs(file)), 2 * base.MIB)

    def test_changes_turn_a_file_into_an_old_one(self):
        tree = self.tree("t", file=os.urandom(400 * data.BLOCK), same=b"")
        new = (tree / "file").read_bytes()
        changes = data.Changes(tree / "file", len(new), 1)
        changes.make_old(tree / "file", 7_000_000_000)
        old = (tree / "file").read_bytes()
        blocks = range(0, len(new), data.BLOCK)
        self.assertEqual(sum(new[at : at + data.BLOCK] != old[at : at + data.BLOCK] for at in blocks), 4)
        self.assertEqual((tree / "file").stat().st_mtime, 7)

    def test_fill_makes_the_same_bytes_for_the_same_seed_only(self):
        made = {}
        for name, kind, seed in (("a", "mixed", 1), ("b", "mixed", 1), ("c", "mixed", 2), ("d", "random", 1)):
            subprocess.run([PROGRAMS / "fill", kind, "100001", str(seed), self.top / name], check=True)
            made[name] = (self.top / name).read_bytes()
        self.assertEqual(len(made["a"]), 100001)
        self.assertEqual(made["a"], made["b"])
        self.assertEqual(len(set(made.values())), 3)


class Comparing(Scratch):
    def differs(self, comparison=None):
        try:
            (comparison or data.Comparison()).check(self.top / "a", self.top / "b")
        except base.BenchError:
            return True
        return False

    def test_equal_trees_are_equal(self):
        self.tree("a", x=b"1", y=b"")
        self.tree("b", x=b"1", y=b"")
        self.assertFalse(self.differs())

    def test_names_contents_times_and_modes_count(self):
        self.tree("a", x=b"1")
        other = self.tree("b", x=b"2")
        self.assertTrue(self.differs())
        (other / "x").write_bytes(b"1")
        self.assertTrue(self.differs())  # the time
        self.assertFalse(self.differs(data.Comparison(times=None)))
        os.utime(other / "x", ns=(0, 1_999_999_999))
        self.assertTrue(self.differs())
        self.assertFalse(self.differs(data.Comparison(times="s")))
        os.utime(other / "x", ns=(0, 1_500_000_000))
        self.assertFalse(self.differs())
        (other / "x").chmod(0o600)
        self.assertTrue(self.differs())
        (other / "x").chmod(0o644)
        (other / "y").touch()
        self.assertTrue(self.differs())

    def test_data_in_a_hole_is_seen(self):
        for name in ("a", "b"):
            with open(self.tree(name) / "x", "wb") as file:
                file.truncate(base.MIB)
                if name == "b":
                    file.seek(base.MIB // 2)
                    file.write(b"!")
        self.assertTrue(self.differs(data.Comparison(times=None)))


class Bars(unittest.TestCase):
    def test_a_bar_is_met_on_its_own_side(self):
        speed, time = bars.faster("k", "", 2, 3), bars.less("k", "", 1.1, 1.02)
        self.assertEqual(bars.verdict(speed, 2), ("met", "not reached"))
        self.assertEqual(bars.verdict(speed, 1.99), ("missed", "not reached"))
        self.assertEqual(bars.verdict(time, 1.1), ("met", "not reached"))
        self.assertEqual(bars.verdict(time, 1.01), ("met", "reached"))
        self.assertEqual(bars.verdict(time, 1.2), ("missed", "not reached"))
        self.assertEqual(bars.verdict(bars.faster("k", "", None, 0.8), 1), ("", "reached"))
        self.assertEqual(bars.verdict(speed, None), ("", ""))

    def test_all_cases_have_bars_and_the_table_has_all_of_them(self):
        text = report.bars_text({"W1": {"values": {"rsync": 1.5}}})
        for number in range(1, 14):
            self.assertIn(f"| W{number} |", text)
        self.assertIn("| W1 | speed against rsync -W | 1.50× | ≥ 1.5× | met | ≥ 2× | not reached |", text)
        self.assertEqual(text.count("not measured"), sum(map(len, bars.BARS.values())) - 1)

    def test_a_value_without_a_bar_is_refused(self):
        with self.assertRaises(base.BenchError):
            bench.result("W1", "", [], {"no such bar": 1})


class Reports(unittest.TestCase):
    def test_a_case_that_was_not_measured_says_why(self):
        self.assertIn("Not measured: no room", report.case_text({"case": "W1", "title": "t", "skipped": "no room"}))

    def test_a_row_has_median_range_and_rate(self):
        row = {"name": "n", "seconds": [1, 2, 4], "cpu": [3, 1, 2], "peaks": [base.MIB, None]}
        cells = report.contender_row(row, {"seconds": [1]}, 6_000_000)
        self.assertEqual(cells, ["n", "2.0000", "1.0000–4.0000", "150%", "3", "2.000", "1.0, –", "2.00×", 3])

    def test_lines_that_begin_or_end_early_keep_their_places(self):
        lines = Lines()
        lines.add({"a": 1})
        lines.add({})
        lines.add({"b": 3})
        self.assertEqual(lines.values, {"a": [1, None, None], "b": [None, None, 3]})

    def test_only_what_is_between_the_markers_changes(self):
        text = "before\n<!-- bench: cases -->\nold\n<!-- /bench: cases -->\nafter\n"
        self.assertEqual(docs.replaced(text, "cases", "new"), text.replace("old", "new"))
        for broken in ("", text + text, text.replace("<!-- /", "<!-- no ")):
            with self.assertRaises(base.BenchError):
                docs.replaced(broken, "cases", "new")

    def test_the_document_has_the_markers(self):
        text = (TOP / docs.FILE).read_text(encoding="utf-8")
        for name in ("cases", "growth"):
            self.assertIn("\nnew\n", docs.replaced(text, name, "new"))


class Relaying(Scratch):
    def test_cuts_are_where_they_were_asked_for(self):
        cuts = relay.Cuts([10, 4])
        self.assertEqual(cuts.allow(0, 3), 3)
        self.assertEqual(cuts.allow(3, 5), 1)
        cuts.done()
        self.assertEqual(cuts.allow(4, 6), 6)
        self.assertEqual(cuts.allow(10, 6), 0)
        cuts.done()
        self.assertEqual(cuts.allow(10, 1000), 1000)

    def test_it_counts_and_cuts(self):
        target = socket.socket(socket.AF_UNIX)
        self.addCleanup(target.close)
        target.bind(str(self.top / "target"))
        target.listen()
        words = [sys.executable, TOP / "scripts/bench/relay.py", "--cut", "4"]
        words += [f"unix:{self.top}/relay", f"unix:{self.top}/target"]
        process = subprocess.Popen(words, stdout=subprocess.PIPE)
        self.addCleanup(process.stdout.close)
        self.addCleanup(process.wait)
        self.addCleanup(process.kill)
        processes.wait_until(lambda: processes.unix_listens(f"{self.top}/relay"), "the relay")
        for sent, arrives in ((b"abcdef", b"abcd"), (b"ghi", b"ghi")):
            with socket.socket(socket.AF_UNIX) as dialler:
                dialler.connect(str(self.top / "relay"))
                dialler.sendall(sent)
                if sent == arrives:
                    dialler.shutdown(socket.SHUT_WR)
                with target.accept()[0] as stream:
                    self.assertEqual(stream.makefile("rb").read(), arrives)
                    if sent == arrives:
                        stream.sendall(b"12")
                        stream.close()
                        self.assertEqual(dialler.makefile("rb").read(), b"12")
        process.terminate()
        self.assertEqual(json.loads(process.stdout.read()), {"there": 7, "back": 2, "streams": 2})


class Programs(Scratch):
    def start(self, *command, **options):
        running = processes.Processes(str(PROGRAMS / "spent"))
        self.addCleanup(running.end_all)
        return running, running.start(command, **options)

    def test_spent_tells_time_memory_and_code(self):
        running, process = self.start("sh", "-c", "exit 7")
        spent = running.wait(process, good=(7,))
        self.assertGreater(spent.ended, spent.started)
        self.assertGreater(spent.peak, 0)
        running, process = self.start("sh", "-c", "exit 7")
        with self.assertRaises(base.BenchError):
            running.wait(process)

    def test_spent_passes_a_signal_on(self):
        running, process = self.start("sleep", "1000")
        running.stop(process)
        self.assertEqual(process.code, 128 + 15)

    def test_a_command_that_is_not_there_is_an_error(self):
        running, process = self.start("/nonexistent", stderr=subprocess.DEVNULL)
        with self.assertRaises(base.BenchError):
            running.wait(process)

    def test_what_is_left_is_ended(self):
        running, process = self.start("sleep", "1000")
        running.end_all()
        self.assertFalse(Path(f"/proc/{process.pid}").exists())

    def bare(self, content):
        (self.top / "in").write_bytes(content)
        words = [PROGRAMS / "bare", "receive", self.top / "s", self.top / "out"]
        with subprocess.Popen(words) as receiver:
            processes.wait_until(lambda: processes.unix_listens(f"{self.top}/s"), "bare")
            subprocess.run([PROGRAMS / "bare", "send", self.top / "in", self.top / "s"], check=True)
        self.assertEqual(receiver.returncode, 0)
        self.assertEqual((self.top / "out").read_bytes(), content)

    def test_bare_copies_a_file(self):
        for size in (0, 1, 128 * base.KIB, 300_001):
            self.bare(os.urandom(size))


if __name__ == "__main__":
    PROGRAMS = Path(sys.argv.pop(1)).resolve()
    unittest.main()
