"""Mutated files of all sources are read: `python tests/fuzz_files.py COUNT`. Prints the largest memory of the process.

A file may be refused or damaged; nothing else may come of it.
"""

from __future__ import annotations

import random
import sys
import tempfile
from pathlib import Path

from hypothesis import HealthCheck, given, seed, settings
from hypothesis import strategies as st

from ringback.imports import StagedFile
from ringback.sources.reading import FileRefused, Options
from ringback.times import zone
from source_files import KINDS
from test_sources import random_calls

TOKENS = (
    b'"', b"'", b"<", b">", b"&#55357;", b"&#0;", b"<!DOCTYPE x>", b"\xff\xfe", b"\xef\xbb\xbf", b"\xd8", b"\x00",
    b"\n", b"\r", b"[" * 5_000, b'{"a":' * 5_000, b"9" * 5_000, b"1e400", b"-1", b"NaN", b"null", b"\\ud83d",
    b"PK\x03\x04", b",,,", b";;", b"Row: 1 _id=1", b"SQLite format 3\0", b"x" * 200_000, "\u0663".encode(),
    b'<div class="haudio">', b"</calls>", b"]", b"}",
)  # fmt: skip
FILES_A_TURN = 1_000
PLACES = st.integers(0, 2**16)
MUTATIONS = st.one_of(
    st.tuples(st.just("insert"), PLACES, st.sampled_from(TOKENS)),
    st.tuples(st.just("replace"), PLACES, st.binary(min_size=1, max_size=8)),
    st.tuples(st.just("cut"), PLACES, st.integers(1, 400)),
    st.tuples(st.just("repeat"), PLACES, st.integers(1, 4_000)),
    st.tuples(st.just("end"), PLACES, st.just(0)),
    st.tuples(st.just("head"), st.integers(0, 64), st.binary(min_size=1, max_size=2)),
)


def mutated(content: bytes, mutations: list[tuple[str, int, bytes | int]]) -> bytes:
    for what, place, value in mutations:
        at = place if what == "head" else place * len(content) // 2**16
        if isinstance(value, bytes):
            content = content[:at] + value + content[at + (0 if what == "insert" else len(value)) :]
        elif what == "cut":
            content = content[:at] + content[at + value :]
        elif what == "repeat":
            content = content[:at] + content[at : at + value] * 3 + content[at + value :]
        else:
            content = content[:at]
    return content


def read_mutated(count: int) -> None:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "file"
        originals = {}
        for name, kind in KINDS.items():
            calls = [one for one in random_calls(random.Random(1), 50) if one["type"] in kind.kinds]
            kind.write(path, calls)
            originals[name] = path.read_bytes()

        # In turns: what hypothesis remembers of a run takes 10 kB for each file.
        turns, first = -(-count // FILES_A_TURN), random.randrange(2**32)
        print("seed", first)

        @given(
            name=st.sampled_from(sorted(KINDS)),
            mutations=st.lists(MUTATIONS, min_size=1, max_size=4),
            format=st.sampled_from([None, None, None, "adb", "csv", "ios", "jsonl", "takeout", "termux"]),
        )
        @settings(
            max_examples=-(-count // turns),
            deadline=None,
            database=None,
            print_blob=True,
            suppress_health_check=list(HealthCheck),
        )
        def read(name: str, mutations: list[tuple[str, int, bytes | int]], format: str | None) -> None:
            path.write_bytes(mutated(originals[name], mutations))
            try:
                staged = StagedFile(path, format, Options(zone("Europe/Berlin"), {}), lambda _: None)
            except FileRefused as refusal:
                assert refusal.detail
                return
            assert all(bad.error for _, bad in staged.rejected)
            assert len(list(staged.reports())) == staged.count
            staged.close()

        for turn in range(turns):
            seed(first + turn)(read)()
    status = Path("/proc/self/status").read_text()
    print("memory kB:", status.partition("VmHWM:")[2].split()[0])


if __name__ == "__main__":
    read_mutated(int(sys.argv[1]))
