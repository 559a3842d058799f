"""Commands that misbehave, run for real."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psutil
import pytest

from scicat_retriever.storage.lts.programs.child import (
    MOST_UNENDED,
    Child,
    CommandFailed,
    CommandNotStarted,
    CommandTimedOut,
    Finished,
    in_words,
    run_command,
    small_environment,
)
from tests.contracts.test_long_term_store import wait_for
from tests.unit.storage.machine_troubles import hung_program


def shell(script: str, *arguments: str, timeout: float = 20) -> Finished:
    """Run a shell's script; the shell is the program under test here, nothing else reads the script."""
    return run_command(["/bin/sh", "-c", script, "sh", *arguments], timeout, small_environment([]))


def is_running(pid: int) -> bool:
    """Whether a process is there and not merely waiting to be reaped."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] != "Z"
    except (FileNotFoundError, ProcessLookupError):
        return False


def test_code_output_and_the_last_line_of_stderr_are_given() -> None:
    finished = shell("echo said; echo first >&2; echo last >&2; echo >&2; exit 3")
    assert finished == Finished(3, "said\n", "last")


def test_without_stderr_the_last_line_of_the_output_is_the_complaint() -> None:
    assert shell("echo one; echo two; exit 1").complaint == "two"


def test_a_command_that_is_killed_has_a_negative_code() -> None:
    assert shell("kill -TERM $$").code == -15


def test_a_command_that_takes_too_long_is_killed_with_all_that_it_started(tmp_path: Path) -> None:
    begun = time.monotonic()
    with pytest.raises(CommandTimedOut, match=r"/bin/sh took longer than 3 s"):
        shell('sleep 60 & echo $! $$ > "$1"; wait', str(tmp_path / "pids"), timeout=3)
    assert time.monotonic() - begun < 10
    for pid in (tmp_path / "pids").read_text().split():
        wait_for(lambda pid=pid: not is_running(int(pid)))  # type: ignore[misc]


def test_a_command_that_ignores_signals_is_killed_all_the_same() -> None:
    with pytest.raises(CommandTimedOut):
        shell("trap '' TERM HUP INT; while :; do sleep 1; done", timeout=0.3)


def test_a_command_that_leaves_a_child_holding_its_output_is_not_waited_for(tmp_path: Path) -> None:
    begun = time.monotonic()
    assert shell('sleep 60 & echo $! > "$1"; echo said', str(tmp_path / "pid")).output == "said\n"
    assert time.monotonic() - begun < 10
    wait_for(lambda: not is_running(int((tmp_path / "pid").read_text())))


def test_a_command_that_closes_its_output_and_goes_on_is_waited_for() -> None:
    assert shell("exec >&- 2>&-; sleep 0.2; exit 4").code == 4


@pytest.mark.parametrize("flood", ["exec cat /dev/zero", "exec yes said"])
def test_a_flood_of_output_ends_the_command(flood: str) -> None:
    with pytest.raises(CommandFailed, match="printed more than 64 KiB"):
        shell(flood)


def test_a_flood_of_complaints_is_cut_to_its_end() -> None:
    finished = shell("yes complaint | head -c 1000000 >&2; echo the end >&2; exit 2")
    assert (finished.code, finished.complaint) == (2, "the end")


def test_output_up_to_the_limit_is_given_whole() -> None:
    assert len(shell("head -c 65536 /dev/zero | tr '\\0' x").output) == 65536


def test_nothing_can_be_read_from_stdin() -> None:
    assert shell("cat; echo end").output == "end\n"


def test_arguments_reach_the_command_as_they_are() -> None:
    hostile = ["$(id)", "`id`", "a b", "a\nb", "'\"", "; rm -rf /", "*", "", os.fsdecode(b"caf\xe9")]
    said = shell("printf '%s|' \"$@\"", *hostile).output
    assert said.split("|")[:-1] == hostile


def test_of_the_environment_only_what_is_named_is_passed_on(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RETRIEVER_SECRET", "s3cret")
    monkeypatch.setenv("KRB5CCNAME", "FILE:/run/ticket")
    environment = small_environment(["KRB5CCNAME", "NOT_THERE"])
    said = run_command(["/usr/bin/env"], 20, environment).output.splitlines()
    assert {line.split("=")[0] for line in said} == {"PATH", "HOME", "LANG", "LC_ALL", "KRB5CCNAME"}


def test_it_runs_in_a_process_group_and_a_folder_that_are_not_the_service_s() -> None:
    process, group, folder = shell("echo $$; ps -o pgid= -p $$ 2>/dev/null || echo $$; pwd").output.split()
    assert (group, folder) == (process, "/")


@pytest.mark.parametrize("program", ["/not/there", "/etc/passwd", "/"])
def test_a_program_that_cannot_be_started_is_named(program: str) -> None:
    with pytest.raises(CommandFailed, match=f"{program} cannot be started: "):
        run_command([program], 20, {})


def test_no_descriptor_and_no_process_is_left() -> None:
    shell("true")
    this = psutil.Process()
    before = (this.num_fds(), len(this.children()))
    for _ in range(10):
        shell("echo said")
        with pytest.raises(CommandFailed):
            shell("yes")
        with pytest.raises(CommandFailed):
            run_command(["/not/there"], 20, {})
    assert this.num_fds() <= before[0]
    assert len(this.children()) <= before[1]


def test_many_threads_may_run_commands_at_once() -> None:
    said = dict[int, str]()
    threads = [
        threading.Thread(target=lambda n=n: said.update({n: shell('echo "$1"', str(n)).output}))
        for n in range(16)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert said == {n: f"{n}\n" for n in range(16)}


def test_foreign_words_are_made_fit_for_a_message() -> None:
    assert in_words(" a\n\tb\x1b[31m\0 ") == "a b [31m"
    assert len(in_words("x" * 1000)) == 200


@pytest.mark.parametrize("timeout", [2_147_484.0, 30 * 86400.0, float("inf")])
def test_a_command_may_be_given_any_time(timeout: float) -> None:
    assert shell("sleep 0.1; echo said", timeout=timeout).output == "said\n"


def test_a_program_whose_start_hangs_is_given_up_in_time_and_ended_when_it_starts_late(
    tmp_path: Path,
) -> None:
    this = psutil.Process()
    begun, before = time.monotonic(), len(this.children())
    with hung_program(tmp_path) as program:
        with pytest.raises(CommandTimedOut, match=r"did not start within 0\.3 s"):
            run_command([str(program)], 0.3, {})
        assert time.monotonic() - begun < 10
        assert shell("echo said").output == "said\n"
    wait_for(lambda: len(this.children()) <= before)


HOLDS = """
import ctypes, sys
PTRACE_SEIZE = 0x4206
print(ctypes.CDLL(None).ptrace(PTRACE_SEIZE, int(sys.argv[1]), 0, 0), flush=True)
sys.stdin.read()
"""


@contextmanager
def held(pid: int) -> Iterator[None]:
    """Have a process not be reaped once it is killed, as one that waits for a dead mount: another one traces it."""
    holder = subprocess.Popen(
        [sys.executable, "-c", HOLDS, str(pid)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    try:
        assert holder.stdout is not None
        if holder.stdout.readline().strip() != "0":
            pytest.skip("no process may trace another here")
        yield
    finally:
        holder.communicate()


def test_processes_that_cannot_be_ended_are_counted_until_they_end(tmp_path: Path) -> None:
    program = tmp_path / "sleep"
    shutil.copy("/bin/sleep", program)
    child = Child([str(program), "60"], {})
    with held(child._process.pid):
        assert child.end() is None
        assert child._program.unended() == 1
    wait_for(lambda: child._program.unended() == 0)


def test_a_program_many_of_whose_processes_cannot_be_ended_is_not_started_again(tmp_path: Path) -> None:
    program = tmp_path / "true"
    shutil.copy("/bin/true", program)
    hung = [subprocess.Popen(["/bin/sleep", "60"]) for _ in range(MOST_UNENDED)]
    known = Child([str(program)], {})
    known.end()
    for process in hung:
        known._program.leave(process)
    with pytest.raises(CommandNotStarted, match=f"{MOST_UNENDED} of it cannot be ended"):
        run_command([str(program)], 20, {})
    assert shell("echo said").output == "said\n"
    for process in hung:
        process.kill()
    wait_for(lambda: known._program.unended() == 0)
    assert run_command([str(program)], 20, {}).code == 0
